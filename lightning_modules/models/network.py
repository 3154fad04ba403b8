"""Define the networks: an encoder with what each task puts on it. They return dicts of logits by output name."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from transformers import AutoModelForQuestionAnswering, PreTrainedModel

Pooling = Literal["cls", "mean", "max", "attention"]


class Network(nn.Module):
    """Map ids and mask, int64 [rows, tokens], to logits by name: [rows, classes], or [rows, tokens] if `per_token`."""

    per_token: ClassVar[bool] = False
    encoder: PreTrainedModel


class Pool(nn.Module):
    """Pool hidden states [rows, tokens, dim] under their mask [rows, tokens] to one vector a row [rows, dim]."""

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


class TextClassifier(Network):
    """Map token ids to logits [rows, labels], and to complexity logits [rows, levels] where `complexity_labels` > 0."""

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
        return self.answer(hidden, attention_mask)

    def answer(self, hidden: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Return the outputs of the encoder's last hidden states [rows, tokens, dim]."""
        pooled = self.dropout(self.norm(self.pool(hidden, attention_mask)))
        outputs = {"logits": self.head(pooled)}
        if self.complexity_head is not None:
            outputs["complexity_logits"] = self.complexity_head(pooled)
        return outputs


class SpanExtractor(Network):
    """Map token ids of `question, context` to `start_logits` and `end_logits` of an answer, [rows, tokens] each."""

    per_token = True

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        start, end = self.head(hidden).unbind(dim=-1)
        return {"start_logits": start, "end_logits": end}

    def as_transformers(self) -> PreTrainedModel:
        """Return the same weights as transformers' own model for question answering."""
        model = AutoModelForQuestionAnswering.from_config(self.encoder.config)
        setattr(model, model.base_model_prefix, self.encoder)
        model.qa_outputs = self.head
        return model
