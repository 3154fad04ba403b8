"""The largest batch that fits into memory, by Lightning's finder, accumulated up to the batch asked for."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil
from typing import Any

import numpy as np
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder
from lightning.pytorch.tuner.batch_size_scaling import _reset_dataloaders
from torch.utils.data import DataLoader

from lightning_modules.errors import UserError


class FittingBatch(BatchSizeFinder):
    """Takes the data's `batch_size` as the batch of an optimiser step, and halves what is run at once until it fits.

    Each size is tried on the longest rows, three steps of training, after which model and optimiser are as before. A
    resumed run keeps the sizes that it began with: its batches are those of an uninterrupted one.
    """

    def __init__(self) -> None:
        super().__init__(mode="power", steps_per_trial=3)
        self.found: dict[str, int] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str | None = None) -> None:
        """Begins anew: one process may train several models. A resumed run's sizes are restored after this."""
        super().setup(trainer, pl_module, stage)
        self.found = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.found or trainer.fast_dev_run:  # type: ignore[attr-defined]  # set by a connector
            return
        if trainer.ckpt_path:
            raise UserError(
                f"{trainer.ckpt_path} is of a run without --auto_batch_size: go on with it without, or begin anew"
            )
        data = trainer.datamodule  # type: ignore[attr-defined]  # set by the trainer
        wanted = data.batch_size
        # Lightning's finder begins small and does not try its `max_val` itself: from `wanted` on, it only goes down.
        self._init_val, self._max_val = wanted, wanted + 1
        with quiet(), longest_rows_first(data, rows=wanted * self._steps_per_trial):
            _reset_dataloaders(trainer)
            try:
                self.scale_batch_size(trainer, pl_module)
            except ValueError:
                if data.batch_size:  # it is halved down to none
                    raise
                raise UserError(
                    "not even the longest row alone fits into memory: lower --data.max_length, or give "
                    "--model.gradient_checkpointing true"
                ) from None
        assert self.optimal_batch_size is not None  # only a fast_dev_run finds none
        self._use(trainer, *shared_out(wanted, min(wanted, self.optimal_batch_size)))
        _reset_dataloaders(trainer)
        trainer.ckpt_path = None  # the finder's own
        print(
            f"auto_batch_size: {self.found['rows']} rows at a time, "
            f"{self.found['accumulate']} times for an optimiser step"
        )

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Before the number of steps is known: schedules depend on it."""
        if known := checkpoint["callbacks"].get(self.state_key):
            self._use(trainer, **known)

    def state_dict(self) -> dict[str, Any]:
        return dict(self.found)

    def _use(self, trainer: Trainer, rows: int, accumulate: int) -> None:
        self.found = {"rows": rows, "accumulate": accumulate}
        trainer.datamodule.batch_size = rows  # type: ignore[attr-defined]  # set by the trainer
        trainer.accumulate_grad_batches = accumulate * trainer.accumulate_grad_batches


def shared_out(wanted: int, fitting: int) -> tuple[int, int]:
    """Rows at a time, `fitting` at most, and how often they are accumulated: their product is `wanted`, or just above.

    48 rows of which 20 fit are 3 times 16.
    """
    times = ceil(wanted / fitting)
    return ceil(wanted / times), times


@contextmanager
def longest_rows_first(data: Any, rows: int) -> Iterator[None]:
    """Meanwhile, the training batches of a data module are of its longest `rows`, several times where it has fewer."""
    data.train_dataloader = partial(_longest_first, data.train_dataloader, rows)
    try:
        yield
    finally:
        del data.train_dataloader  # the class's own is back


def _longest_first(ordinary: Any, rows: int) -> DataLoader:
    loader = ordinary()
    order = np.argsort(-np.asarray(loader.lengths), kind="stable")
    longest = loader.dataset.select(np.resize(order, rows))
    return DataLoader(longest, loader.batch_size, collate_fn=loader.collate_fn, pin_memory=loader.pin_memory)


@contextmanager
def quiet() -> Iterator[None]:
    """The finder tells that it restores a checkpoint, which is its own."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
