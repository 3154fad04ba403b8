"""What is wrong with an answer or a refusal, in words that many requests share."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from handlers.golden import answer_mismatch, shape_error
from loadtest.samples import Sample


def fault(answer: Any, sample: Sample, labels: Collection[str] | None) -> str | None:
    """What is wrong with an answer (parsed JSON), None where nothing is: its shape, or what it says.

    The second only where the expected answer is known. Without known `labels`, any label will do.
    """
    reason = shape_error(answer, sample.request, labels)
    if reason is None and sample.expected is not None:
        return answer_mismatch(answer, *(one for one in (sample.expected, sample.fp32) if one is not None))
    return reason


def answer_fault(status: int, body: bytes | None, sample: Sample, labels: Collection[str] | None) -> str | None:
    """The same of a whole HTTP answer: refused, no JSON, or wrong."""
    if status != 200:
        return refusal(status, body)
    try:
        return fault(json.loads(body or b""), sample, labels)
    except ValueError:
        return "the answer is no JSON"


def refusal(status: int, body: bytes | None) -> str:
    """A refused request by its status and the error's code; status 0 is no answer at all."""
    if not status:
        return "no answer"
    try:
        content = json.loads(body or b"")
        return f"status {status} {content['error']['code'] if 'error' in content else content['type']}"
    except (ValueError, TypeError, KeyError):
        return f"status {status}"
