"""Whether an answer is right: against the expected one where it is known, else by its shape.

The INT8 models take the range of their activations from the whole batch, so scores move with the neighbours of a
request: little where the model is sure, more where it is not, which the logarithm of the odds evens out. A score may
differ by 0.02, or by `tolerance` in log-odds; a label may differ only where the expected answer's scores of both are
within twice that tolerance. Such a flip is neither right nor wrong: it is counted apart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from loadtest.samples import Sample

SMALL = 0.02  # between two scores
TOLERANCE = 1.0  # in log-odds
ROUNDING = 1e-6  # scores have six places


@dataclass(frozen=True)
class Outcome:
    """`reason` says what is wrong, in words that many requests share."""

    kind: Literal["right", "flip", "wrong"]
    reason: str = ""


RIGHT = Outcome("right")
FLIP = Outcome("flip")


def check(answer: Any, sample: Sample, labels: Collection[str] | None, tolerance: float) -> Outcome:
    """The outcome of one answer (parsed JSON); without known `labels`, any label will do."""
    instances = sample.request.get("instances")
    if not isinstance(instances, list):
        return _check_one(answer, sample.expected, labels, tolerance)
    predictions = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(predictions, list) or len(predictions) != len(instances):
        return Outcome("wrong", "not one prediction for each instance")
    expected = sample.expected["predictions"] if sample.expected else [None] * len(instances)
    outcomes = [_check_one(*pair, labels, tolerance) for pair in zip(predictions, expected, strict=True)]
    return _worst(outcomes)


def refusal(status: int, body: bytes | None) -> str:
    """A refused request in words that many share: its status and the error's code; status 0 is no answer at all."""
    if not status:
        return "no answer"
    try:
        content = json.loads(body or b"")
        return f"status {status} {content['error']['code'] if 'error' in content else content['type']}"
    except (ValueError, TypeError, KeyError):
        return f"status {status}"


def _check_one(
    answer: Any, expected: Mapping[str, Any] | None, labels: Collection[str] | None, tolerance: float
) -> Outcome:
    if not _is_ranked(answer):
        return Outcome("wrong", "no label with a score from 0 to 1")
    if labels is not None and answer["label"] not in labels:
        return Outcome("wrong", f"unknown label {answer['label']!r}")
    if expected is None:
        return RIGHT
    if set(answer) != set(expected):
        return Outcome("wrong", f"fields {sorted(answer)}, expected {sorted(expected)}")
    outcomes = [_compare(answer, expected, tolerance)]
    if "complexity" in expected:
        if not _is_ranked(answer["complexity"]):
            return Outcome("wrong", "no complexity with a score from 0 to 1")
        outcomes.append(_compare(answer["complexity"], expected["complexity"], tolerance))
    return _worst(outcomes)


def _is_ranked(answer: Any) -> bool:
    if not isinstance(answer, dict) or not isinstance(answer.get("label"), str):
        return False
    score = answer.get("score")
    return isinstance(score, (int, float)) and not isinstance(score, bool) and 0 <= score <= 1


def _compare(answer: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float) -> Outcome:
    label, score = expected["label"], expected["score"]
    if answer["label"] == label:
        if abs(answer["score"] - score) <= SMALL or abs(_log_odds(answer["score"]) - _log_odds(score)) <= tolerance:
            return RIGHT
        return Outcome("wrong", f"the score of label {label!r} is far from the expected one")
    other = _highest_score(expected, answer["label"])
    if _log_odds(score) - _log_odds(other) <= 2 * tolerance:
        return FLIP
    return Outcome("wrong", f"label {answer['label']!r}, expected {label!r}")


def _log_odds(score: float) -> float:
    """ln(p / (1 - p)), finite for the rounded scores 0 and 1 too."""
    inside = min(max(score, ROUNDING), 1 - ROUNDING)
    return math.log(inside / (1 - inside))


def _highest_score(expected: Mapping[str, Any], label: str) -> float:
    """The expected answer's score of `label`, or the highest that is possible where it is not listed."""
    ranking = expected.get("top_k") or [expected]
    listed = {entry["label"]: float(entry["score"]) for entry in ranking}
    return listed.get(label, min(*listed.values(), 1 - sum(listed.values())))


def _worst(outcomes: list[Outcome]) -> Outcome:
    return max(outcomes, key=lambda outcome: ("right", "flip", "wrong").index(outcome.kind), default=RIGHT)
