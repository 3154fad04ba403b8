"""Whether what an answer names, and how sure it is of it, is what was expected: the same for the tasks of all models.

The INT8 models take the range of their activations from the whole batch, so scores move with the neighbours of a
request: little where the model is sure, more where it is not, which the logarithm of the odds evens out. A score may
differ by 0.02, or by a tolerance in log-odds; a name may differ only where the expected answer's scores of both are
within twice that tolerance. Such a flip is neither right nor wrong: it is counted apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    return max(outcomes, key=lambda outcome: ("right", "flip", "wrong").index(outcome.kind), default=RIGHT)


def is_score(value: Any) -> bool:
    """A number from 0 to 1."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def compare(answer: Mapping[str, Any], expected: Mapping[str, Any], field: str, tolerance: float) -> Outcome:
    """Of two answers that have a name in `field`, such as a label, and its `score`."""
    name = expected[field]
    if answer[field] != name:
        return compare_names(answer, expected, field, far=_lead(expected, field, answer[field]) > 2 * tolerance)
    if abs(answer["score"] - expected["score"]) <= SMALL or distance(answer["score"], expected["score"]) <= tolerance:
        return RIGHT
    return Outcome("wrong", f"the score of {field} {name!r} is far from the expected one")


def compare_names(answer: Mapping[str, Any], expected: Mapping[str, Any], field: str, *, far: bool) -> Outcome:
    """Of two answers with different names."""
    return Outcome("wrong", f"{field} {answer[field]!r}, expected {expected[field]!r}") if far else FLIP


def distance(one: float, other: float) -> float:
    """Between two scores, in log-odds."""
    return abs(_log_odds(one) - _log_odds(other))


def _lead(expected: Mapping[str, Any], field: str, name: str) -> float:
    """How far the expected answer's score is above that of `name`, in log-odds."""
    return _log_odds(expected["score"]) - _log_odds(_highest_score(expected, field, name))


def _log_odds(score: float) -> float:
    """ln(p / (1 - p)), finite for the rounded scores 0 and 1 too."""
    inside = min(max(score, ROUNDING), 1 - ROUNDING)
    return math.log(inside / (1 - inside))


def _highest_score(expected: Mapping[str, Any], field: str, name: str) -> float:
    """The expected answer's score of `name`, or the highest that is possible where it is not listed."""
    ranking = expected.get("top_k") or [expected]
    listed = {entry[field]: float(entry["score"]) for entry in ranking}
    return listed.get(name, min(*listed.values(), 1 - sum(listed.values())))
