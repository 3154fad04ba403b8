"""Lets a run go on after its folder was moved: checkpoints name each other by their full paths."""

from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")


class MovedRun(Callback):
    """A checkpoint that is resumed from the run's own folder has its neighbours there, wherever they were written.

    Otherwise the best one would be read from its old place, and the next validation, however bad, would be the best.
    """

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        resumed = Path(str(trainer.ckpt_path)).resolve().parent
        for keeper in trainer.checkpoint_callbacks:
            state = checkpoint["callbacks"].get(keeper.state_key)
            if isinstance(keeper, ModelCheckpoint) and state and resumed == Path(str(keeper.dirpath)):
                checkpoint["callbacks"][keeper.state_key] = relocated(state, resumed)


def relocated(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The state of a `ModelCheckpoint` with all its paths in `folder`."""
    paths = {key: str(folder / Path(state[key]).name) if state[key] else "" for key in PATHS}
    best = {str(folder / Path(path).name): score for path, score in state["best_k_models"].items()}
    return {**state, **paths, "best_k_models": best, "dirpath": str(folder)}
