"""Write checkpoints whole, keep the last one beside the best, and find them where their folder was moved."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

PARTIAL = ".partial"  # a name that `--ckpt_path last` does not take for a checkpoint, should the process be killed
PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")  # in the state of a ModelCheckpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint beside its place, then rename it: a full disk never costs the one that stands there.

    Lightning's own writes into the folder for temporary files; where that is another disk, it copies over the earlier
    checkpoint, and a copy can end in the middle.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Raise `OSError` with the checkpoint's path where it cannot be written; an earlier one stays as it is."""
        target = Path(path)
        partial = target.with_name(PARTIAL)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except (OSError, RuntimeError) as error:
            # torch's writer raises a RuntimeError of its own on top of the system's
            system = error if isinstance(error, OSError) else error.__context__
            if isinstance(system, OSError) and system.errno:
                raise OSError(system.errno, system.strerror, str(target)) from error
            raise
        finally:
            partial.unlink(missing_ok=True)


class LastCheckpoint(ModelCheckpoint):
    """Keep the state after every epoch, and after every validation within one, as `last.ckpt` in `folder`.

    `--ckpt_path last` resumes it: a run resumed within an epoch trains on the batches that are left of it, and ends as
    an uninterrupted one. Only the gradients of a step that is still being accumulated are lost: validate at a multiple
    of accumulate_grad_batches.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, unless the epoch ends too and saves at once."""
        ends_epoch = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if not ends_epoch and not self._should_skip_saving_checkpoint(trainer):
            trainer.save_checkpoint(self.format_checkpoint_name({}))


class RelocatedCheckpoint(Callback):
    """Find the other checkpoints of a resumed run in the folder of its checkpoint, even after a move.

    Checkpoints refer to each other by full paths. After the run's folder has moved, the best one would be looked for in
    its old place, and the next validation, however bad, would count as the best. Checkpoints in another run's folder
    are left alone.
    """

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        resumed = Path(str(trainer.ckpt_path)).resolve().parent
        for callback in trainer.checkpoint_callbacks:
            state = checkpoint["callbacks"].get(callback.state_key)
            if isinstance(callback, ModelCheckpoint) and state and resumed == Path(str(callback.dirpath)):
                checkpoint["callbacks"][callback.state_key] = _relocated(state, resumed)


def _relocated(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    paths = {key: str(folder / Path(state[key]).name) if state[key] else "" for key in PATHS}
    best = {str(folder / Path(path).name): score for path, score in state["best_k_models"].items()}
    return {**state, **paths, "best_k_models": best, "dirpath": str(folder)}
