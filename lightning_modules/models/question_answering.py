"""Train extractive question answering: loss, and exact match and F1 on whole questions, as a Lightning module."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics import MeanMetric

from archives.squad_metric import exact_match, f1
from lightning_modules.models.fine_tuner import FineTuner
from lightning_modules.models.network import SpanExtractor


class QuestionAnswering(FineTuner):
    """Fine-tune an encoder to mark the answer to a question in a context by its first and last token.

    Args:
        learning_rate: peak learning rate of the encoder.
    """

    def __init__(self, learning_rate: float = 3e-5, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.network = SpanExtractor(self.trainable_encoder())
        self.val_exact_match = MeanMetric()
        self.val_f1 = MeanMetric()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Map ids and mask, int64 [rows, tokens], to `start_logits` and `end_logits`, [rows, tokens]."""
        outputs: dict[str, Tensor] = self.network(input_ids, attention_mask)
        return outputs

    def model_step(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return loss and logits of a batch of windows; only the tokens that may answer take part in the softmax."""
        outputs = self(batch["input_ids"], batch["attention_mask"])
        logits = {
            name: values.float().masked_fill(~batch["allowed"], torch.finfo(torch.float32).min)
            for name, values in outputs.items()
        }
        start = cross_entropy(logits["start_logits"], batch["start"])
        end = cross_entropy(logits["end_logits"], batch["end"])
        return (start + end) / 2, logits

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        loss, _ = self.model_step(batch)
        self.log("train_loss", loss, prog_bar=True, on_step=True, on_epoch=False)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        loss, logits = self.model_step(batch)
        self.log("val_loss", loss, batch_size=len(batch["start"]), on_epoch=True, sync_dist=True)
        for answer, references in self.trainer.datamodule.answers(batch, logits):  # type: ignore[attr-defined]
            self.val_exact_match.update(exact_match(answer, references))
            self.val_f1.update(f1(answer, references))
        metrics = {"val_exact_match": self.val_exact_match, "val_f1": self.val_f1}
        self.log_dict(metrics, on_epoch=True, prog_bar=True)
