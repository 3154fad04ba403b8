"""Fine-tune an encoder: freezing, dropout, optimiser and schedule, for every task."""

from typing import Any

import torch
from lightning import LightningModule
from torch import nn
from transformers import PreTrainedModel, get_cosine_schedule_with_warmup

from lightning_modules.errors import UserError
from lightning_modules.models.backbones import encoder_layers, keep_layers, load_encoder
from lightning_modules.models.network import Network
from lightning_modules.pretrained import EMBEDDED

PLAIN_ATTENTION_TOKENS = 240  # from this width on, the fused attention is the faster one on a CPU


class FineTuner(LightningModule):
    """Base of the Lightning modules that train an encoder with something on it.

    A subclass sets `network`, which returns a dict of logits by output name and whose `encoder` comes from
    `trainable_encoder`, and passes the settings below on to this class. The settings of both are hyperparameters.

    Args:
        backbone: `embedded`, a local folder in hub layout, or a hub name such as `distilbert-base-uncased`.
        encoder_dropout: dropout inside the encoder; null: as pretrained. At 0, a step on a CPU takes two thirds of the
            time.
        freeze_layers: number of layers, from the input side, that keep their weights (the embeddings too when > 0).
        gradient_checkpointing: trade time for memory.
        learning_rate: peak learning rate of the encoder.
        head_learning_rate: peak learning rate of the layers on top of the encoder; null: the encoder's.
        weight_decay: AdamW's weight decay, not applied to biases and normalization.
        warmup: steps with a rising rate before the cosine decay to zero; below 1: their share of all steps.
    """

    network: Network

    def __init__(
        self,
        backbone: str = EMBEDDED,
        encoder_dropout: float | None = None,
        freeze_layers: int = 0,
        gradient_checkpointing: bool = False,
        learning_rate: float = 5e-5,
        head_learning_rate: float | None = None,
        weight_decay: float = 0.01,
        warmup: float = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if warmup < 0:
            raise UserError(f"model.warmup is {warmup}: give a number of steps, or a share of them below 1")
        self.backbone = backbone
        self.encoder_dropout = encoder_dropout
        self.freeze_layers = freeze_layers
        self.gradient_checkpointing = gradient_checkpointing
        self.learning_rate = learning_rate
        self.head_learning_rate = learning_rate if head_learning_rate is None else head_learning_rate
        self.weight_decay = weight_decay
        self.warmup = warmup

    def trainable_encoder(self, layers: int | None = None) -> PreTrainedModel:
        """Return the backbone as set, in training mode; `layers`: as in `keep_layers`, None keeps all."""
        encoder = load_encoder(self.backbone)
        if layers is not None:
            keep_layers(encoder, layers)
        freeze(encoder, self.freeze_layers)
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler.requires_grad_(False)  # BERT's own, not used here: DDP would wait for its gradients
        if self.encoder_dropout is not None:
            for module in encoder.modules():
                if isinstance(module, nn.Dropout):
                    module.p = self.encoder_dropout
        if self.gradient_checkpointing:
            encoder.gradient_checkpointing_enable()
        return encoder.train()  # from_pretrained leaves it without its dropout

    def setup(self, stage: str) -> None:
        length = self.trainer.datamodule.max_length  # type: ignore[attr-defined]  # set by the trainer
        encoder = self.network.encoder
        self._attention = encoder.config._attn_implementation
        positions = getattr(encoder.config, "max_position_embeddings", length)
        if length > positions:
            raise UserError(f"data.max_length is {length}, but the backbone has {positions} positions: give no more")

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        # On a CPU the fused attention's backward pass is slower than the plain one's, up to 28 % on short rows.
        encoder = self.network.encoder
        if self.device.type == "cpu" and encoder.config._attn_implementation in ("eager", "sdpa"):
            short = batch["input_ids"].shape[1] < PLAIN_ATTENTION_TOKENS
            encoder.set_attn_implementation("eager" if short else self._attention)

    def configure_optimizers(self) -> Any:
        # On a CPU, the fused update of 22.6 M weights takes 35 ms where the default takes 195 ms.
        optimizer = torch.optim.AdamW(self._parameter_groups(), fused=self.device.type == "cpu")
        # Lightning refuses to clip for an optimiser that unscales fp16 gradients itself, which no CPU has.
        optimizer._step_supports_amp_scaling = False
        steps = int(self.trainer.estimated_stepping_batches)
        warmup = int(self.warmup if self.warmup >= 1 else self.warmup * steps)
        schedule = get_cosine_schedule_with_warmup(optimizer, warmup, steps)
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
    """Stop the gradients of the embeddings and the first `layers` layers; 0 freezes nothing."""
    stack = encoder_layers(encoder)
    if not 0 <= layers <= len(stack):
        raise UserError(
            f"model.freeze_layers is {layers}, but the backbone has {len(stack)} layers: give 0 to {len(stack)}"
        )
    if layers:
        for module in (encoder.embeddings, *stack[:layers]):
            module.requires_grad_(False)
