"""Answers of text classification."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from loadtest.comparison import Outcome, compare, is_score, worst


@dataclass(frozen=True)
class LabelCheck:
    """Without known `labels`, any label will do."""

    usual_flips: ClassVar[float] = 0.05

    labels: Collection[str] | None

    def fault(self, answer: Any) -> str | None:
        """What is wrong with the answer's shape."""
        if not _is_ranked(answer):
            return "no label with a score from 0 to 1"
        if self.labels is not None and answer["label"] not in self.labels:
            return f"unknown label {answer['label']!r}"
        if "complexity" in answer and not _is_ranked(answer["complexity"]):
            return "no complexity with a score from 0 to 1"
        return None

    def compare(self, answer: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float) -> Outcome:
        pairs = [(answer, expected)]
        if "complexity" in expected:
            pairs.append((answer["complexity"], expected["complexity"]))
        return worst([compare(*pair, "label", tolerance) for pair in pairs])


def _is_ranked(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("label"), str) and is_score(answer.get("score"))
