"""Check answers, and describe a failure in words that many requests share, so that failures can be counted."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from handlers.golden import answer_mismatch, shape_error
from loadtest.samples import Sample


def response_error(status: int, body: bytes | None, sample: Sample, labels: Collection[str] | None) -> str | None:
    """Return why an HTTP response fails (refused, not JSON, or a wrong answer), or None for a right one."""
    if status != 200:
        return refusal(status, body)
    try:
        return answer_error(json.loads(body or b""), sample, labels)
    except ValueError:
        return "the answer is no JSON"


def answer_error(answer: Any, sample: Sample, labels: Collection[str] | None) -> str | None:
    """Return what is wrong with an answer (parsed JSON): its shape or, if the right answer is known, its content.

    If `labels` is None, any label is accepted.
    """
    error = shape_error(answer, sample.request, labels)
    if error is None and sample.expected is not None:
        return answer_mismatch(answer, *(one for one in (sample.expected, sample.fp32) if one is not None))
    return error


def refusal(status: int, body: bytes | None) -> str:
    """Describe a refused request by its status and the error's code; status 0 is no answer at all."""
    if not status:
        return "no answer"
    try:
        content = json.loads(body or b"")
        return f"status {status} {content['error']['code'] if 'error' in content else content['type']}"
    except (ValueError, TypeError, KeyError):
        return f"status {status}"
