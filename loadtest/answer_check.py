"""Answers of extractive question answering."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from loadtest.comparison import Outcome, compare, compare_names, distance, is_score

# A span's logit is the sum of two, whose independent errors add up to this much of one.
TWO_LOGITS = math.sqrt(2)


@dataclass(frozen=True)
class AnswerCheck:
    """`context` as it was sent; `no_answer_threshold` None: the request had none."""

    # Spans that share their start or end are often as likely.
    usual_flips: ClassVar[float] = 0.2

    context: str
    no_answer_threshold: float | None

    def fault(self, answer: Any) -> str | None:
        """What is wrong with the answer's shape: above all, its words have to stand at its place in the context."""
        if not self._is_quoted(answer):
            return "no answer with a score from 0 to 1 and its place in the context"
        ranking = answer.get("top_k", [])
        if not isinstance(ranking, list) or not all(map(self._is_quoted, ranking)):
            return "no top_k of answers with a score from 0 to 1 and their place in the context"
        if "no_answer_score" in answer and not is_score(answer["no_answer_score"]):
            return "no no_answer_score from 0 to 1"
        return None

    def compare(self, answer: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float) -> Outcome:
        """The same words at another place are the same answer, as they are in `top_k`."""
        tolerance *= TWO_LOGITS
        if self.no_answer_threshold is None or bool(answer["answer"]) == bool(expected["answer"]):
            return compare(answer, expected, "answer", tolerance)
        # Not the better score decided, but the threshold.
        far = distance(expected["no_answer_score"], self.no_answer_threshold) > tolerance
        return compare_names(answer, expected, "answer", far=far)

    def _is_quoted(self, answer: Any) -> bool:
        if not isinstance(answer, dict) or not is_score(answer.get("score")):
            return False
        start, end = answer.get("start"), answer.get("end")
        if type(start) is not int or type(end) is not int or not 0 <= start <= end <= len(self.context):
            return False
        return answer.get("answer") == self.context[start:end]
