"""Answers `{"question": …, "context": …}` with `{"answer", "score", "start", "end"}`, as a plain TorchServe handler."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

MAX_ANSWER_TOKENS = 30


class PlainHandler:
    """Reads the model's `max_length` tokens; a longer context is cut, as in TorchServe's own example."""

    def initialize(self, context: Any) -> None:
        folder = Path(context.system_properties["model_dir"])
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForQuestionAnswering.from_pretrained(folder, dtype=torch.float32).eval()
        self.length = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))["max_length"]

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[str]:
        return [json.dumps(self.answer(**row["body"])) for row in rows]

    @torch.inference_mode()
    def answer(self, question: str, context: str, **options: Any) -> dict[str, Any]:
        inputs = self.tokenizer(
            question,
            context,
            max_length=self.length,
            padding="max_length",
            truncation=True,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        offsets = inputs.pop("offset_mapping")[0].tolist()
        outside = torch.tensor([part != 1 for part in inputs.sequence_ids(0)])
        outputs = self.model(**inputs)
        start, end = (
            logits[0].masked_fill(outside, -torch.inf).softmax(dim=0)
            for logits in (outputs.start_logits, outputs.end_logits)
        )
        scores = torch.outer(start, end).triu().tril(MAX_ANSWER_TOKENS - 1)
        first, last = divmod(int(scores.argmax()), len(offsets))
        begin, stop = offsets[first][0], offsets[last][1]
        score = round(float(scores[first, last]), 6)
        return {"answer": context[begin:stop], "score": score, "start": begin, "end": stop}
