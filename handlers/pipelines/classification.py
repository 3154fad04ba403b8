"""Classify texts; each text makes one row.

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
from handlers.pipelines.base import EncodedInstance, Pipeline, read_json, read_tokenizer
from handlers.request import (
    DEFAULT_TOP_K,
    Payload,
    Request,
    check_alone,
    check_known,
    optional_top_k,
    required_instances,
    required_text,
)
from handlers.text.tokenization import TextTokenizer

SHORTEST_ENTRY = len('{"label": "", "score": 0.0}')


@dataclass(frozen=True)
class TextInstance:
    """A text, and the number of labels to list in its answer."""

    text: str
    top_k: int


@dataclass(frozen=True)
class EncodedText(EncodedInstance):
    """A text's only row; `truncated` is true if the end of the text is not in it."""

    top_k: int
    truncated: bool


@dataclass(frozen=True)
class ClassificationPipeline(Pipeline):
    """The pipeline of a classifier.

    `labels` and `complexity_labels` are in the order of the logits; without a complexity head, the second is empty.
    """

    warm_up_lengths: ClassVar[tuple[int, ...]] = (8, 32)

    tokenizer: TextTokenizer
    labels: list[str]
    complexity_labels: list[str]

    @staticmethod
    def read_fields(folder: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
        labels = read_json(folder / "labels.json")
        return {
            "tokenizer": TextTokenizer(read_tokenizer(folder), metadata["max_length"]),
            "labels": labels["labels"],
            "complexity_labels": labels.get("complexity_labels", []),
        }

    def check_outputs(self, logits: Logits) -> None:
        expected = {"logits": len(self.labels)}
        if self.complexity_labels:
            expected["complexity_logits"] = len(self.complexity_labels)
        classes = {name: values.shape[1] for name, values in logits.items()}
        if classes != expected:
            raise ValueError(f"the model's outputs are {classes}, but labels.json expects {expected}: export it again")

    @staticmethod
    def parse(payload: Payload) -> Request[TextInstance]:
        """Check one text, or several as `instances`; a `top_k` beside them is the default for each."""
        fields = {"text": payload} if isinstance(payload, str) else payload
        check_known(fields, ("text", "instances", "top_k"))
        top_k = optional_top_k(fields, DEFAULT_TOP_K)
        if "instances" not in fields:
            return Request([TextInstance(required_text(fields, "text"), top_k)], many=False)
        check_alone(fields, "instances", ("text",))
        instances = []
        for i, instance in enumerate(required_instances(fields)):
            prefix = f"instances[{i}]."
            check_known(instance, ("text", "top_k"), prefix)
            text = required_text(instance, "text", prefix)
            instances.append(TextInstance(text, optional_top_k(instance, top_k, prefix)))
        return Request(instances, many=True)

    def encode_instances(self, instances: Sequence[TextInstance]) -> list[EncodedText]:
        encodings = self.tokenizer.tokenize([instance.text for instance in instances])
        return [
            EncodedText([ids], instance.top_k, truncated)
            for instance, (ids, truncated) in zip(instances, encodings, strict=True)
        ]

    def decode_instances(self, instances: Sequence[EncodedText], logits: Logits) -> Iterator[dict[str, Any]]:
        rankings = rank(logits["logits"], self.labels, [instance.top_k for instance in instances])
        if self.complexity_labels:
            levels = rank(logits["complexity_logits"], self.complexity_labels, [1] * len(instances))
        for instance, ranking in zip(instances, rankings, strict=True):
            answer: dict[str, Any] = {**ranking[0], "top_k": ranking}
            if self.complexity_labels:
                [answer["complexity"]] = next(levels)
            if instance.truncated:
                answer["truncated"] = True
            yield answer

    def min_json_length(self, answer: Mapping[str, Any]) -> int:
        return SHORTEST_ENTRY * len(answer["top_k"])


def rank(logits: NDArray[np.float32], labels: list[str], counts: list[int]) -> Iterator[list[dict[str, Any]]]:
    """Yield each row's best labels, best first, as many as its count, with scores rounded to six places.

    Labels with equal scores keep their order.
    """
    probabilities = softmax(logits)
    columns = np.argsort(-probabilities, axis=-1, kind="stable")[:, : max(counts)]
    scores = np.take_along_axis(probabilities, columns, axis=-1).astype(np.float64).round(6)
    for row_columns, row_scores, count in zip(columns, scores, counts, strict=True):
        best = zip(row_columns[:count].tolist(), row_scores[:count].tolist(), strict=True)
        yield [{"label": labels[column], "score": score} for column, score in best]


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities over the last axis, [rows, classes] -> [rows, classes]."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)
