"""Finds a misspelt monitor before the first epoch instead of after it."""

from lightning import Callback, LightningModule, Trainer

from lightning_modules.errors import UserError


class KnownMonitor(Callback):
    """Ends the run after the validation before training, if that knows no such figure; others come with training."""

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        figures = trainer.callback_metrics
        for monitor in {stopping.monitor for stopping in trainer.early_stopping_callbacks}:
            if monitor.startswith("val_") and monitor not in figures:
                raise UserError(f"early_stopping.monitor is {monitor}: give one of {', '.join(sorted(figures))}")
