"""How fast training goes, and how much of it is padding; carried through checkpoints."""

from time import perf_counter
from typing import Any

from lightning import Callback, LightningModule, Trainer


class Throughput(Callback):
    """Counts the tokens of every training batch on this process, and the time from its arrival to the end of its step.

    Padding is counted against the batch's own longest row, and as it would be with every row as long as allowed.
    """

    def __init__(self) -> None:
        self.counts = {"seconds": 0.0, "tokens": 0, "padded": 0, "rows": 0}
        self.max_length = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begins anew: one process may train several models. A resumed run's counts are restored after this."""
        self.counts = {"seconds": 0.0, "tokens": 0, "padded": 0, "rows": 0}
        self.max_length = trainer.datamodule.max_length  # type: ignore[attr-defined]  # set by the trainer

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._begun = perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        mask = batch["attention_mask"]
        # The sum waits for a GPU, so that the time is that of the step's end.
        self.counts["tokens"] += int(mask.sum())
        self.counts["padded"] += mask.numel()
        self.counts["rows"] += len(mask)
        self.counts["seconds"] += perf_counter() - self._begun

    @property
    def figures(self) -> dict[str, float]:
        """Tokens a second without padding, the share of padding, and that share if all rows had `max_length`."""
        if not self.counts["rows"]:
            return {}
        return {
            "tokens_per_second": round(self.counts["tokens"] / self.counts["seconds"], 1),
            "padding_share": 1 - self.counts["tokens"] / self.counts["padded"],
            "padding_share_at_max_length": 1 - self.counts["tokens"] / (self.counts["rows"] * self.max_length),
        }

    def state_dict(self) -> dict[str, Any]:
        return dict(self.counts)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.counts = dict(state_dict)
