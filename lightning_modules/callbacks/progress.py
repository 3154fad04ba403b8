"""Say where a training is, where its output is no terminal."""

import time
from collections.abc import Callable
from typing import Any

from lightning import Callback, LightningModule, Trainer

from lightning_modules.stages import STAGES, duration

SECONDS = 30.0  # between two lines


class Progress(Callback):
    """Print a line every half minute, unless the trainer has a progress bar."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = self._printed = clock()
        self._first_step = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        STAGES.begin("training")
        self._printed = self._clock()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A resumed run goes on at the step of its checkpoint.
        self._start, self._first_step = self._clock(), trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self._due(trainer):
            return
        step, steps = trainer.global_step, int(trainer.estimated_stepping_batches)
        loss = float(outputs["loss"]) * trainer.accumulate_grad_batches  # Lightning divides it by them
        line = f"step {step} of {steps}, epoch {trainer.current_epoch + 1} of {trainer.max_epochs}, loss {loss:.4f}"
        if done := step - self._first_step:
            line += f", {duration((self._clock() - self._start) / done * (steps - step))} left"
        print(f"training: {line}", flush=True)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._due(trainer):
            batches = int(trainer.num_sanity_val_batches[0] if trainer.sanity_checking else trainer.num_val_batches[0])
            print(f"validation: batch {batch_idx + 1} of {batches}, epoch {trainer.current_epoch + 1}", flush=True)

    def _due(self, trainer: Trainer) -> bool:
        if trainer.progress_bar_callback or not trainer.is_global_zero or self._clock() - self._printed < SECONDS:
            return False
        self._printed = self._clock()
        return True
