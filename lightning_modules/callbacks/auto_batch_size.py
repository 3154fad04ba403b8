"""Run the largest batch that fits into memory, by Lightning's finder, and accumulate it to the batch asked for."""

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

STEPS = 3  # training steps to try with each size


class AutoBatchSize(BatchSizeFinder):
    """Halve the number of rows run at once, starting at `batch_size`, until it fits into memory.

    An optimizer step still takes `batch_size` rows.

    Each size is tried on the longest rows, after which model and optimizer are restored. A resumed run keeps the sizes
    that it began with, so that its batches are those of an uninterrupted run.
    """

    def __init__(self, batch_size: int) -> None:
        # The finder doubles a size that fits, but never tries `max_val` itself: from this start, it only goes down.
        super().__init__("power", STEPS, init_val=batch_size, max_val=batch_size + 1)
        self.batch_size = batch_size
        self.sizes: dict[str, int] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.sizes or trainer.fast_dev_run:  # type: ignore[attr-defined]  # set by a connector
            return
        if trainer.ckpt_path:
            raise UserError(
                f"{trainer.ckpt_path} is of a run without --auto_batch_size: go on with it without, or begin anew"
            )
        data = trainer.datamodule  # type: ignore[attr-defined]  # set by the trainer
        with _longest_rows_first(data, self.batch_size * STEPS):
            _reset_dataloaders(trainer)
            logging.disable(logging.INFO)  # the finder tells of a checkpoint, which is its own
            try:
                self.scale_batch_size(trainer, pl_module)
            except ValueError:
                if data.batch_size:  # it is halved down to none
                    raise
                raise UserError(
                    "not even the longest row alone fits into memory: lower --data.max_length, or give "
                    "--model.gradient_checkpointing true"
                ) from None
            finally:
                logging.disable(logging.NOTSET)
        assert self.optimal_batch_size is not None  # only a fast_dev_run has none
        self._use(trainer, *split_batch(self.batch_size, min(self.batch_size, self.optimal_batch_size)))
        _reset_dataloaders(trainer)
        trainer.ckpt_path = None  # the finder's own
        rows, times = self.sizes.values()
        print(f"auto_batch_size: {rows} rows at a time, {times} times for an optimiser step")

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Set the sizes before the number of steps is known, on which schedules depend."""
        if sizes := checkpoint["callbacks"].get(self.state_key):
            self._use(trainer, **sizes)

    def state_dict(self) -> dict[str, Any]:
        return dict(self.sizes)

    def _use(self, trainer: Trainer, rows: int, accumulate: int) -> None:
        self.sizes = {"rows": rows, "accumulate": accumulate}
        trainer.datamodule.batch_size = rows  # type: ignore[attr-defined]  # set by the trainer
        trainer.accumulate_grad_batches = accumulate * trainer.accumulate_grad_batches


def split_batch(batch_size: int, fitting: int) -> tuple[int, int]:
    """Return rows at a time, at most `fitting`, and how often to accumulate them for `batch_size` rows or just above.

    48 rows of which 20 fit are 3 times 16.
    """
    times = ceil(batch_size / fitting)
    return ceil(batch_size / times), times


@contextmanager
def _longest_rows_first(data: Any, rows: int) -> Iterator[None]:
    """Make the training batches of a data module of its longest `rows`, repeated where it has fewer."""
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
