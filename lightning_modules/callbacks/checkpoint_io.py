"""How checkpoints reach the disk: whole, or not at all."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

# A name that `--ckpt_path last` does not take for a checkpoint, should the process be killed.
PARTIAL = ".partial"


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, then renames it: a full disk never costs the one that stands there.

    Lightning's own writes into the folder for temporary files; where that is another disk, it copies over the earlier
    checkpoint, and a copy can end in the middle.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Raises `OSError` with the checkpoint's path where it cannot be written; an earlier one stays as it is."""
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
