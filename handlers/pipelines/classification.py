"""Text classification: one row a text.

ClassificationPipeline.load(Path("runs/intent/export")).predict([{"text": "translate this into French"}])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handlers.model import Logits
from handlers.pipelines.base import EncodedInstance, Outputs, Pipeline, read_json, read_tokenizer
from handlers.request.classification import TextInstance, parse_classification
from handlers.text.scores import softmax, top_k
from handlers.text.tokenization import Encoded, TextEncoder

SHORTEST_ENTRY = len('{"label": "", "score": 0.0}')


@dataclass(frozen=True)
class ClassificationPipeline(Pipeline[TextInstance, Encoded, NDArray[np.float32]]):
    """`labels` and `complexity_labels` stand in the order of the logits; the second is empty without that head."""

    usual_lengths: ClassVar[tuple[int, ...]] = (8, 32)

    encoder: TextEncoder
    labels: list[str]
    complexity_labels: list[str]

    @staticmethod
    def read(folder: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
        labels = read_json(folder / "labels.json")
        return {
            "encoder": TextEncoder(read_tokenizer(folder), metadata["max_length"]),
            "labels": labels["labels"],
            "complexity_labels": labels.get("complexity_labels", []),
        }

    parse = staticmethod(parse_classification)

    def check(self, logits: Mapping[str, NDArray[np.float32]]) -> None:
        expected = {"logits": len(self.labels)}
        if self.complexity_labels:
            expected["complexity_logits"] = len(self.complexity_labels)
        found = {name: values.shape[1] for name, values in logits.items()}
        if found != expected:
            raise ValueError(f"the model's outputs are {found}, but labels.json expects {expected}: export it again")

    def _encoded(self, instances: Sequence[TextInstance]) -> list[EncodedInstance[TextInstance, Encoded]]:
        rows = self.encoder.encode([instance.text for instance in instances])
        return [EncodedInstance(instance, [row], row.truncated) for instance, row in zip(instances, rows, strict=True)]

    def logits(self, rows: Sequence[Sequence[int]]) -> tuple[Logits, int]:
        return self.model.run(rows, self.limits)

    def characters(self, answer: Mapping[str, Any]) -> int:
        return SHORTEST_ENTRY * len(answer["top_k"])

    def _answers(self, outputs: Outputs[TextInstance, Encoded, NDArray[np.float32]]) -> Iterator[dict[str, Any]]:
        instances = outputs.batch.instances
        best = _ranked(outputs.logits["logits"], self.labels, [encoded.instance.top_k for encoded in instances])
        if self.complexity_labels:
            levels = _ranked(outputs.logits["complexity_logits"], self.complexity_labels, [1] * len(instances))
        for encoded, ranking in zip(instances, best, strict=True):
            answer: dict[str, Any] = {**ranking[0], "top_k": ranking}
            if self.complexity_labels:
                [answer["complexity"]] = next(levels)
            if encoded.truncated:
                answer["truncated"] = True
            yield answer


def _ranked(logits: NDArray[np.float32], labels: list[str], wanted: list[int]) -> Iterator[list[dict[str, Any]]]:
    """For each row the `wanted` best labels with their scores, rounded to six places, best first."""
    probabilities = softmax(logits)
    columns = top_k(probabilities, max(wanted))
    scores = np.take_along_axis(probabilities, columns, axis=-1).astype(np.float64).round(6)
    for row_columns, row_scores, k in zip(columns, scores, wanted, strict=True):
        best = zip(row_columns[:k].tolist(), row_scores[:k].tolist(), strict=True)
        yield [{"label": labels[c], "score": s} for c, s in best]
