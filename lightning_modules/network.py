"""The network of a text classifier: encoder, pooling, a head for the labels and, optionally, one for the complexity."""

from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

Pooling = Literal["cls", "mean", "max", "attention"]


class Pool(nn.Module):
    """Hidden states [rows, tokens, dim] and their mask [rows, tokens] -> one vector a row [rows, dim]."""

    def __init__(self, kind: Pooling, dim: int) -> None:
        super().__init__()
        self.kind = kind
        self.attention = nn.Linear(dim, 1) if kind == "attention" else None

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        if self.kind == "cls":
            return hidden[:, 0]
        keep = mask.unsqueeze(-1).to(torch.bool)
        if self.kind == "max":
            return hidden.masked_fill(~keep, torch.finfo(hidden.dtype).min).amax(dim=1)
        if self.attention is None:
            weights = keep.to(hidden.dtype)
            return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        # in mixed precision the scores have fewer bits than the hidden states
        scores = self.attention(hidden)
        scores = scores.masked_fill(~keep, torch.finfo(scores.dtype).min)
        return (hidden * scores.softmax(dim=1)).sum(dim=1)


class TextClassifier(nn.Module):
    """Token ids -> logits [rows, labels], and complexity logits [rows, levels] where `complexity_labels` > 0."""

    def __init__(
        self,
        encoder: PreTrainedModel,
        labels: int,
        complexity_labels: int = 0,
        pooling: Pooling = "mean",
        layer_norm: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        dim = encoder.config.hidden_size
        self.encoder = encoder
        self.pool = Pool(pooling, dim)
        self.norm = nn.LayerNorm(dim) if layer_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(dim, labels)
        self.complexity_head = nn.Linear(dim, complexity_labels) if complexity_labels else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled = self.dropout(self.norm(self.pool(hidden, attention_mask)))
        outputs = {"logits": self.head(pooled)}
        if self.complexity_head is not None:
            outputs["complexity_logits"] = self.complexity_head(pooled)
        return outputs
