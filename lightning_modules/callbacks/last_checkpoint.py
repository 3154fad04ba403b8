"""The checkpoint that `--ckpt_path last` resumes."""

from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class LastCheckpoint(ModelCheckpoint):
    """Keeps the state after every epoch, and after every validation within one, as `last.ckpt` in `folder`.

    A run resumed within an epoch trains on the batches that are left of it, and ends as an uninterrupted one. Only the
    gradients of a step that is still being accumulated are lost: validate at a multiple of accumulate_grad_batches.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """At the end of an epoch, that of the epoch follows at once."""
        ends_epoch = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if not ends_epoch and not self._should_skip_saving_checkpoint(trainer):
            trainer.save_checkpoint(self.format_checkpoint_name({}))
