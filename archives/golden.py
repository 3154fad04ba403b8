"""Golden requests: what a model must answer before anybody is told that it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JUDGED = ("label", "answer")


def agrees(answer: Any, expected: Mapping[str, Any]) -> bool:
    """True when an answer has the expected fields and the expected label (or answer text).

    Scores are not compared: INT8 arithmetic differs between processors in the last digits.
    """
    if not isinstance(answer, Mapping) or set(answer) != set(expected):
        return False
    return all(answer[field] == expected[field] for field in JUDGED if field in expected)
