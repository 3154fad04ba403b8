"""Finds a misspelt monitor, or one that is watched the wrong way round, before the first epoch."""

from lightning import Callback, LightningModule, Trainer

from lightning_modules.errors import UserError


class KnownMonitor(Callback):
    """Ends the run after the validation before training, if that knows no such figure; others come with training.

    Of a loss the least is the best, of all other figures of a validation here the greatest.
    """

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        figures = trainer.callback_metrics
        for stopping in trainer.early_stopping_callbacks:
            monitor = stopping.monitor
            if not monitor.startswith("val_"):
                continue
            if monitor not in figures:
                raise UserError(f"early_stopping.monitor is {monitor}: give one of {', '.join(sorted(figures))}")
            mode = "min" if monitor.endswith("loss") else "max"
            if stopping.mode != mode:
                raise UserError(
                    f"early_stopping.mode is {stopping.mode}, which keeps the worst {monitor}: "
                    f"give --early_stopping.mode={mode}"
                )
