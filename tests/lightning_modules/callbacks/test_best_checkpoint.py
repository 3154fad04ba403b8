"""Which epoch is kept."""

from pathlib import Path

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from lightning_modules.callbacks.best_checkpoint import BestCheckpoint


class Figures(BoringModel):
    """Has a known figure after each epoch."""

    def __init__(self, figures: list[float]) -> None:
        super().__init__()
        self.figures = figures

    def on_validation_epoch_end(self) -> None:
        self.log("val_accuracy", self.figures[self.current_epoch])


@pytest.mark.parametrize(
    ("figures", "mode", "kept"),
    [([0.5, 0.9, 0.9, 0.7], "max", 2), ([0.5, 0.9, 0.7, 0.6], "max", 1), ([0.5, 0.1, 0.1, 0.1], "min", 3)],
)
def test_of_equal_epochs_the_last_is_kept(tmp_path: Path, figures: list[float], mode: str, kept: int) -> None:
    best = BestCheckpoint(tmp_path, "best", monitor="val_accuracy", mode=mode, enable_version_counter=False)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=4,
        limit_train_batches=1,
        limit_val_batches=1,
        callbacks=[best],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Figures(figures))
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]
    assert torch.load(tmp_path / "best.ckpt", weights_only=False)["epoch"] == kept
