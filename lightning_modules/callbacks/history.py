"""Record the curve and the speed of a run, carried through its checkpoints."""

from time import perf_counter
from typing import Any

from lightning import Callback, LightningModule, Trainer

TRAINING_POINTS = 50  # of the training loss in a whole run, each the mean of as many steps


class History(Callback):
    """Keep `records`: dicts with epoch, step, and a mean `train_loss` of the last steps or a validation's metrics.

    The first is the validation before training. Losses are those of this process.
    """

    def __init__(self) -> None:
        self.records: list[dict[str, float]] = []
        self.loss, self.batches = 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        steps = max(1, int(trainer.estimated_stepping_batches) // TRAINING_POINTS)
        self.every = steps * trainer.accumulate_grad_batches

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Lightning divides the loss by the batches of a step. Not a float yet: that would wait for a GPU.
        self.loss = self.loss + outputs["loss"].detach() * trainer.accumulate_grad_batches
        self.batches += 1
        if self.batches == self.every:
            self._record(trainer, {"train_loss": float(self.loss) / self.batches})
            self.loss, self.batches = 0.0, 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking and self.records:
            return  # a resumed run validates again what it had reached
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if name != "train_loss"}
        self._record(trainer, metrics)

    def _record(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self.records.append({"epoch": trainer.current_epoch, "step": trainer.global_step, **metrics})

    def state_dict(self) -> dict[str, Any]:
        return {"records": self.records, "loss": float(self.loss), "batches": self.batches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.records = list(state_dict["records"])
        self.loss, self.batches = state_dict["loss"], state_dict["batches"]


class Throughput(Callback):
    """Count the tokens of every training batch of this process, and the time from its arrival to the end of its step.

    Padding is counted against the batch's own longest row, and as it would be with every row as long as allowed.
    """

    def __init__(self) -> None:
        self.counts = {"seconds": 0.0, "tokens": 0, "padded": 0, "rows": 0}
        self.max_length = 0
        self._start = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.max_length = trainer.datamodule.max_length  # type: ignore[attr-defined]  # set by the trainer

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._start = perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        mask = batch["attention_mask"]
        # The sum waits for a GPU, so that the time is that of the step's end.
        self.counts["tokens"] += int(mask.sum())
        self.counts["padded"] += mask.numel()
        self.counts["rows"] += len(mask)
        self.counts["seconds"] += perf_counter() - self._start

    @property
    def metrics(self) -> dict[str, float]:
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
