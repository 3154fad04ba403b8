"""Train the text classifier: losses and metrics as a Lightning module."""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from lightning_modules.errors import UserError
from lightning_modules.labels import IGNORED
from lightning_modules.models.fine_tuner import FineTuner
from lightning_modules.models.network import Pooling, TextClassifier


class Classifier(FineTuner):
    """Fine-tune an encoder with a label head and an optional complexity head, trained jointly.

    Args:
        labels: label names in the order of the logits; linked from the data.
        complexity_labels: complexity levels in order; empty: no complexity head; linked from the data.
        class_counts: training rows of each label; linked from the data.
        pooling: how token vectors become one: the first (`cls`), their mean or maximum, or learned attention.
        layer_norm: normalise the pooled vector before the heads.
        dropout: dropout on the pooled vector.
        layers: number of the encoder's layers to keep, evenly spread from the first; null: all.
        complexity_weight: weight of the complexity loss beside the label loss.
        label_smoothing: share of the target spread over all labels.
        class_weights: `balanced` weighs each label by the inverse of its frequency.
    """

    network: TextClassifier

    def __init__(
        self,
        labels: tuple[str, ...] = (),
        complexity_labels: tuple[str, ...] = (),
        class_counts: tuple[int, ...] = (),
        pooling: Pooling = "mean",
        layer_norm: bool = False,
        dropout: float = 0.1,
        layers: int | None = None,
        complexity_weight: float = 0.3,
        label_smoothing: float = 0.0,
        class_weights: Literal["none", "balanced"] = "none",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.complexity_weight = complexity_weight
        self.label_smoothing = label_smoothing
        encoder = self.trainable_encoder(layers)
        self.network = TextClassifier(encoder, len(labels), len(complexity_labels), pooling, layer_norm, dropout)
        self.label_weights: Tensor | None
        balanced = [sum(class_counts) / len(class_counts) / count for count in class_counts]
        self.register_buffer("label_weights", torch.tensor(balanced) if class_weights == "balanced" else None, False)
        metrics = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(len(labels), average="micro"),
                "macro_f1": MulticlassF1Score(len(labels), average="macro"),
            }
        )
        self.val_metrics = metrics.clone(prefix="val_")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights of other labels: with as many of them, each column of the head would mean another one."""
        for name in ("labels", "complexity_labels"):
            before, now = (tuple(hparams.get(name) or ()) for hparams in (checkpoint["hyper_parameters"], self.hparams))
            if before != now:
                other = ", ".join(sorted(set(before) ^ set(now))[:5])
                raise UserError(
                    f"the checkpoint is of a run with other {name} ({other}): begin anew, without --ckpt_path"
                )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Map ids and mask, int64 [rows, tokens], to `logits` and, where there is that head, `complexity_logits`."""
        outputs: dict[str, Tensor] = self.network(input_ids, attention_mask)
        return outputs

    def model_step(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return loss and logits of a batch, of training and validation alike."""
        outputs = self(batch["input_ids"], batch["attention_mask"])
        loss = self.label_loss(outputs, batch)
        if "complexity_logits" in outputs:
            # The mean over the rows that have a level; 0 with gradients where none has, since DDP waits for every head.
            complexity = cross_entropy(outputs["complexity_logits"], batch["complexity"], reduction="sum")
            loss = loss + self.complexity_weight * complexity / (batch["complexity"] != IGNORED).sum().clamp(min=1)
        return loss, outputs["logits"]

    def label_loss(self, outputs: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        """Return the mean loss of the labels of a batch."""
        return cross_entropy(
            outputs["logits"],
            batch["labels"],
            weight=self.label_weights,
            label_smoothing=self.label_smoothing if self.training else 0.0,
        )

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss, _ = self.model_step(batch)
        self.log("train_loss", loss, prog_bar=True, on_step=True, on_epoch=False)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        loss, logits = self.model_step(batch)
        rows = len(batch["labels"])
        self.val_metrics.update(logits, batch["labels"])
        self.log("val_loss", loss, batch_size=rows, on_epoch=True, sync_dist=True)
        self.log_dict(self.val_metrics, batch_size=rows, on_epoch=True, prog_bar=True)
