"""Keeps the curve of a run, carried through checkpoints."""

from typing import Any

from lightning import Callback, LightningModule, Trainer

TRAINING_POINTS = 50  # of the training loss in a whole run, each the mean of as many steps


class History(Callback):
    """`records`: dicts with epoch, step and either a mean `train_loss` of the last steps, or figures of a validation.

    The first is the validation before training. Losses are those of this process.
    """

    def __init__(self) -> None:
        self.records: list[dict[str, float]] = []
        self.loss, self.batches = 0.0, 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begins anew: one process may train several models. A resumed run's records are restored after this."""
        self.records = []
        self.loss, self.batches = 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        steps = max(1, int(trainer.estimated_stepping_batches) // TRAINING_POINTS)
        self.every = steps * trainer.accumulate_grad_batches

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Lightning divides what it hands on by the batches of a step. Not a float yet: that would wait for a GPU.
        self.loss = self.loss + outputs["loss"].detach() * trainer.accumulate_grad_batches
        self.batches += 1
        if self.batches == self.every:
            self._record(trainer, {"train_loss": float(self.loss) / self.batches})
            self.loss, self.batches = 0.0, 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking and self.records:
            return  # a resumed run validates again what it had reached
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if name != "train_loss"}
        self._record(trainer, metrics)

    def _record(self, trainer: Trainer, figures: dict[str, float]) -> None:
        self.records.append({"epoch": trainer.current_epoch, "step": trainer.global_step, **figures})

    def state_dict(self) -> dict[str, Any]:
        return {"records": self.records, "loss": float(self.loss), "batches": self.batches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.records = list(state_dict["records"])
        self.loss, self.batches = state_dict["loss"], state_dict["batches"]
