"""Answers `{"text": …}` with `{"label", "score"}`, as a plain TorchServe handler."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

# As TorchServe's own example for Hugging Face models pads, where the model can read that much.
LENGTH = 150


class PlainHandler:
    """An encoder with the heads that transformers has no class for."""

    def initialize(self, context: Any) -> None:
        folder = Path(context.system_properties["model_dir"])
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.encoder = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.heads = load_file(folder / "heads.safetensors")
        self.labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))["labels"]
        self.pooling = json.loads((folder / "metadata.json").read_text(encoding="utf-8")).get("pooling", "mean")
        self.length = min(LENGTH, self.encoder.config.max_position_embeddings)

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[str]:
        return [json.dumps(self.answer(row["body"])) for row in rows]

    @torch.inference_mode()
    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        inputs = self.tokenizer(
            request["text"], max_length=self.length, padding="max_length", truncation=True, return_tensors="pt"
        )
        hidden = self.encoder(**inputs).last_hidden_state
        pooled = self.pooled(hidden, inputs["attention_mask"].unsqueeze(-1).bool())
        if "norm.weight" in self.heads:
            pooled = functional.layer_norm(pooled, pooled.shape[1:], self.heads["norm.weight"], self.heads["norm.bias"])
        logits = functional.linear(pooled, self.heads["head.weight"], self.heads["head.bias"])[0]
        best = int(logits.argmax())
        return {"label": self.labels[best], "score": round(float(logits.softmax(dim=0)[best]), 6)}

    def pooled(self, hidden: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """[1, tokens, dim], and which tokens are no padding, [1, tokens, 1] -> [1, dim]."""
        if self.pooling == "cls":
            return hidden[:, 0]
        if self.pooling == "max":
            return hidden.masked_fill(~keep, -torch.inf).amax(dim=1)
        if self.pooling == "attention":
            scores = functional.linear(hidden, self.heads["pool.attention.weight"], self.heads["pool.attention.bias"])
            weights = scores.masked_fill(~keep, -torch.inf).softmax(dim=1)
        else:
            weights = keep / keep.sum(dim=1, keepdim=True)
        return (hidden * weights).sum(dim=1)
