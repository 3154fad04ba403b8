"""The text classifier as a Lightning module: losses, metrics, optimiser and schedule."""

from typing import Any, Literal

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score
from transformers import get_cosine_schedule_with_warmup

from lightning_modules.backbones import EMBEDDED, encoder_layers, load_encoder
from lightning_modules.errors import UserError
from lightning_modules.network import Pooling, TextClassifier

IGNORED = -100  # the target of a row without a complexity; cross_entropy's default ignore_index


class Classifier(LightningModule):
    """Fine-tunes an encoder with a label head and an optional complexity head, trained jointly.

    Args:
        backbone: `embedded`, a local folder in hub layout, or a hub name such as `distilbert-base-uncased`.
        labels: label names in the order of the logits; linked from the data.
        complexity_labels: complexity levels in order; empty: no complexity head; linked from the data.
        class_counts: training rows of each label; linked from the data.
        pooling: how token vectors become one: the first (`cls`), their mean or maximum, or learned attention.
        layer_norm: normalise the pooled vector before the heads.
        dropout: on the pooled vector.
        freeze_layers: how many layers, from the input side, keep their weights (the embeddings too when > 0).
        gradient_checkpointing: trade time for memory.
        complexity_weight: weight of the complexity loss beside the label loss.
        label_smoothing: share of the target spread over all labels.
        class_weights: `balanced` weighs each label by the inverse of its frequency.
        learning_rate: peak, of the encoder.
        head_learning_rate: peak, of pooling and heads; null: the encoder's.
        weight_decay: AdamW's, not on biases and normalisation.
        warmup_ratio: share of the steps with a rising rate, before the cosine decay to zero.
    """

    def __init__(
        self,
        backbone: str = EMBEDDED,
        labels: tuple[str, ...] = (),
        complexity_labels: tuple[str, ...] = (),
        class_counts: tuple[int, ...] = (),
        pooling: Pooling = "mean",
        layer_norm: bool = False,
        dropout: float = 0.1,
        freeze_layers: int = 0,
        gradient_checkpointing: bool = False,
        complexity_weight: float = 0.3,
        label_smoothing: float = 0.0,
        class_weights: Literal["none", "balanced"] = "none",
        learning_rate: float = 5e-5,
        head_learning_rate: float | None = None,
        weight_decay: float = 0.01,
        warmup_ratio: float = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.complexity_weight = complexity_weight
        self.label_smoothing = label_smoothing
        self.learning_rate = learning_rate
        self.head_learning_rate = learning_rate if head_learning_rate is None else head_learning_rate
        self.weight_decay = weight_decay
        self.warmup_ratio = warmup_ratio
        encoder = load_encoder(backbone)
        freeze(encoder, freeze_layers)
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler.requires_grad_(False)  # BERT's own, not used here: DDP would wait for its gradients
        if gradient_checkpointing:
            encoder.gradient_checkpointing_enable()
        self.network = TextClassifier(encoder, len(labels), len(complexity_labels), pooling, layer_norm, dropout)
        self.network.train()  # from_pretrained leaves an encoder without its dropout
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

    def setup(self, stage: str) -> None:
        length = self.trainer.datamodule.max_length  # type: ignore[attr-defined]  # set by the trainer
        positions = getattr(self.network.encoder.config, "max_position_embeddings", length)
        if length > positions:
            raise UserError(f"data.max_length is {length}, but the backbone has {positions} positions: give no more")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Ids and mask, int64 [rows, tokens] -> `logits`, and `complexity_logits` where there is that head."""
        outputs: dict[str, Tensor] = self.network(input_ids, attention_mask)
        return outputs

    def model_step(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Loss and logits of a batch; one step for training and validation."""
        outputs = self(batch["input_ids"], batch["attention_mask"])
        loss = cross_entropy(
            outputs["logits"],
            batch["labels"],
            weight=self.label_weights,
            label_smoothing=self.label_smoothing if self.training else 0.0,
        )
        if "complexity_logits" in outputs:
            # The mean over the rows that have a level; 0 with gradients where none has, since DDP waits for every head.
            complexity = cross_entropy(outputs["complexity_logits"], batch["complexity"], reduction="sum")
            loss = loss + self.complexity_weight * complexity / (batch["complexity"] != IGNORED).sum().clamp(min=1)
        return loss, outputs["logits"]

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

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self._parameter_groups())
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = get_cosine_schedule_with_warmup(optimizer, int(self.warmup_ratio * steps), steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _parameter_groups(self) -> list[dict[str, Any]]:
        rates = {True: self.learning_rate, False: self.head_learning_rate}
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                key = (name.startswith("encoder."), parameter.ndim > 1)
                groups.setdefault(key, []).append(parameter)
        return [
            {"params": parameters, "lr": rates[encoder], "weight_decay": self.weight_decay * decays}
            for (encoder, decays), parameters in groups.items()
        ]


def freeze(encoder: nn.Module, layers: int) -> None:
    """Stops the gradients of the embeddings and the first `layers` layers; 0 freezes nothing."""
    stack = encoder_layers(encoder)
    if not 0 <= layers <= len(stack):
        raise UserError(
            f"model.freeze_layers is {layers}, but the backbone has {len(stack)} layers: give 0 to {len(stack)}"
        )
    if layers:
        for module in (encoder.embeddings, *stack[:layers]):
            module.requires_grad_(False)
