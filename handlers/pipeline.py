"""Text classification in three steps: encode (texts to token ids), run (ids to logits), decode (logits to answers).

ClassificationPipeline.load(Path("runs/intent/export")).predict([{"text": "translate this into French"}])
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.onnx_model import Logits, OnnxModel
from handlers.text.classification_request import ClassificationRequest, TextInstance, parse_classification
from handlers.text.payload import Payload
from handlers.text.scores import softmax, top_k
from handlers.text.tokenization import Encoded, TextEncoder

MODEL_FILE = "model_int8.onnx"
# Padded tokens and rows of one micro-batch: enough to keep one core's arithmetic busy, small enough for its cache.
TOKEN_BUDGET = 128
MAX_ROWS = 16


@dataclass(frozen=True)
class EncodedBatch:
    """The rows of all requests, one after the other."""

    requests: Sequence[ClassificationRequest]
    instances: list[TextInstance]
    rows: list[Encoded]

    @property
    def tokens(self) -> int:
        """Tokens of all rows, without padding."""
        return sum(len(row.ids) for row in self.rows)


@dataclass(frozen=True)
class Outputs:
    """Logits of all rows by output name, [rows, classes], and the tokens run for them, padding included."""

    batch: EncodedBatch
    logits: Logits
    padded_tokens: int


@dataclass(frozen=True)
class ClassificationPipeline:
    """`labels` and `complexity_labels` stand in the order of the logits; the second is empty without that head."""

    encoder: TextEncoder
    model: OnnxModel
    labels: list[str]
    complexity_labels: list[str]
    token_budget: int
    max_rows: int

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        model_file: str = MODEL_FILE,
        threads: int = 1,
        token_budget: int = TOKEN_BUDGET,
        max_rows: int = MAX_ROWS,
    ) -> ClassificationPipeline:
        """Reads an exported (or unpacked) model folder and runs it once per shape.

        Raises `FileNotFoundError` for a missing file, `ValueError` where labels and logits disagree.
        """
        labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        pipeline = cls(
            TextEncoder((folder / "tokenizer.json").read_text(encoding="utf-8"), metadata["max_length"]),
            OnnxModel(folder / model_file, threads),
            labels["labels"],
            labels.get("complexity_labels", []),
            token_budget,
            max_rows,
        )
        pipeline.warm_up(metadata["max_length"])
        return pipeline

    parse = staticmethod(parse_classification)

    def encode(self, requests: Sequence[ClassificationRequest]) -> EncodedBatch:
        """Tokenises every text of every request, once."""
        instances = [instance for request in requests for instance in request.instances]
        return EncodedBatch(requests, instances, self.encoder.encode([instance.text for instance in instances]))

    def run(self, batch: EncodedBatch) -> Outputs:
        """Runs the rows in micro-batches of similar lengths; the logits come back in the order of the rows."""
        ids = [row.ids for row in batch.rows]
        return Outputs(batch, *self.model.run(ids, self.token_budget, self.max_rows))

    def decode(self, outputs: Outputs) -> list[dict[str, Any]]:
        """One answer a request, in order."""
        answers = iter(self._answers(outputs))
        return [
            {"predictions": [next(answers) for _ in request.instances]} if request.many else next(answers)
            for request in outputs.batch.requests
        ]

    def predict(self, payloads: Sequence[Payload]) -> list[dict[str, Any]]:
        """The three steps in order, for requests as clients send them; raises the first wrong one's `RequestError`."""
        if not payloads:
            return []
        return self.decode(self.run(self.encode([self.parse(payload) for payload in payloads])))

    def warm_up(self, max_length: int) -> None:
        """Runs short and long, single and full micro-batches, so that the first client does not pay for it."""
        for length in sorted({min(length, max_length) for length in (8, 32, max_length)}):
            for rows in (1, max(1, min(self.max_rows, self.token_budget // length))):
                logits, _ = self.model.run([[1] * length] * rows, self.token_budget, self.max_rows)
        expected = {"logits": len(self.labels)}
        if self.complexity_labels:
            expected["complexity_logits"] = len(self.complexity_labels)
        found = {name: values.shape[1] for name, values in logits.items()}
        if found != expected:
            raise ValueError(f"the model's outputs are {found}, but labels.json expects {expected}: export it again")

    def _answers(self, outputs: Outputs) -> list[dict[str, Any]]:
        batch = outputs.batch
        best = _ranked(outputs.logits["logits"], self.labels, [instance.top_k for instance in batch.instances])
        answers: list[dict[str, Any]] = [{**ranking[0], "top_k": ranking} for ranking in best]
        if self.complexity_labels:
            levels = _ranked(outputs.logits["complexity_logits"], self.complexity_labels, [1] * len(answers))
            for answer, ranking in zip(answers, levels, strict=True):
                answer["complexity"] = ranking[0]
        for answer, row in zip(answers, batch.rows, strict=True):
            if row.truncated:
                answer["truncated"] = True
        return answers


def _ranked(logits: NDArray[np.float32], labels: list[str], wanted: list[int]) -> list[list[dict[str, Any]]]:
    """For each row the `wanted` best labels with their scores, rounded to six places, best first."""
    probabilities = softmax(logits)
    columns = top_k(probabilities, max(wanted))
    scores = np.take_along_axis(probabilities, columns, axis=-1).astype(np.float64).round(6).tolist()
    return [
        [{"label": labels[c], "score": s} for c, s in zip(row_columns[:k], row_scores[:k], strict=True)]
        for row_columns, row_scores, k in zip(columns.tolist(), scores, wanted, strict=True)
    ]
