"""Find a misspelt monitor, or one that is watched the wrong way round, before the first epoch ends."""

from typing import Any

from lightning import Callback, LightningModule, Trainer

from lightning_modules.errors import UserError


class MonitorCheck(Callback):
    """End the run where early stopping watches a metric that there is not, or keeps the worst.

    The metrics of validation are known after the validation before training, all others after the first batch. A loss
    is best at its minimum, every other metric of a validation here at its maximum.
    """

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for stopping in trainer.early_stopping_callbacks:
            monitor = stopping.monitor
            if not monitor.startswith("val_"):
                continue
            _require(monitor, trainer)
            mode = "min" if monitor.endswith("loss") else "max"
            if stopping.mode != mode:
                raise UserError(
                    f"early_stopping.mode is {stopping.mode}, which keeps the worst {monitor}: "
                    f"give --early_stopping.mode={mode}"
                )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 0:
            for stopping in trainer.early_stopping_callbacks:
                if not stopping.monitor.startswith("val_"):
                    _require(stopping.monitor, trainer)


def _require(monitor: str, trainer: Trainer) -> None:
    metrics = trainer.callback_metrics
    if monitor not in metrics:
        raise UserError(f"early_stopping.monitor is {monitor}: give one of {', '.join(sorted(metrics))}")
