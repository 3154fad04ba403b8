"""Keeps the curve of a run: a record before training and after every validation, carried through checkpoints."""

from typing import Any

from lightning import Callback, LightningModule, Trainer


class History(Callback):
    """`records`: dicts with epoch, step and every metric logged so far (train_loss, val_loss, val_macro_f1, …)."""

    def __init__(self) -> None:
        self.records: list[dict[str, float]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begins anew: one process may train several models. A resumed run's records are restored after this."""
        self.records = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking and self.records:
            return  # a resumed run validates again what it had reached
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.records.append({"epoch": trainer.current_epoch, "step": trainer.global_step, **metrics})

    def state_dict(self) -> dict[str, Any]:
        return {"records": self.records}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.records = list(state_dict["records"])
