"""What is wrong with an answer or a refusal, in words that many requests share."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from handlers.text.agreement import disagreement
from loadtest.samples import Sample
from loadtest.shapes import shape_fault


def fault(answer: Any, sample: Sample, labels: Collection[str] | None) -> str | None:
    """What is wrong with an answer (parsed JSON), None where nothing is: its shape, or what it says.

    The second only where the expected answer is known. Without known `labels`, any label will do.
    """
    reason = _shape_fault(answer, sample.request, labels)
    if reason is None and sample.expected is not None:
        return disagreement(sample.expected, answer)
    return reason


def refusal(status: int, body: bytes | None) -> str:
    """A refused request by its status and the error's code; status 0 is no answer at all."""
    if not status:
        return "no answer"
    try:
        content = json.loads(body or b"")
        return f"status {status} {content['error']['code'] if 'error' in content else content['type']}"
    except (ValueError, TypeError, KeyError):
        return f"status {status}"


def _shape_fault(answer: Any, request: Mapping[str, Any], labels: Collection[str] | None) -> str | None:
    instances = _instances(request)
    if instances is None:
        return shape_fault(answer, request, labels)
    predictions = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(predictions, list) or len(predictions) != len(instances):
        return "not one prediction for each instance"
    pairs = zip(predictions, instances, strict=True)
    return next(filter(None, (shape_fault(prediction, instance, labels) for prediction, instance in pairs)), None)


def _instances(request: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """What a request with several instances asks; None for a request of one."""
    if isinstance(request.get("instances"), list):
        return request["instances"]
    if isinstance(request.get("questions"), list):
        return [request] * len(request["questions"])
    return None
