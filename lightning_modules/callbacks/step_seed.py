"""Make a step's randomness a function of the seed and the step, so that a resumed run equals an uninterrupted one."""

import os
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer


def run_seed() -> int:
    """Return the seed that `seed_everything` was called with in this process."""
    return int(os.environ.get("PL_GLOBAL_SEED", "0"))


class StepSeed(Callback):
    """Seed torch (dropout) anew at every batch, differently on every process; the sampler has its own seed."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        torch.manual_seed(hash((run_seed(), trainer.current_epoch, batch_idx, trainer.global_rank)))
