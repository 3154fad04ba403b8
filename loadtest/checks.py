"""Whether an answer is right: against the expected one where it is known (see comparison.py), else by its shape."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from loadtest.answer_check import AnswerCheck
from loadtest.comparison import RIGHT, Outcome, worst
from loadtest.label_check import LabelCheck
from loadtest.samples import Sample


class Check(Protocol):
    """What one task asks of an answer; `usual_flips` is a share of all requests that its INT8 models stay below."""

    usual_flips: ClassVar[float]

    def fault(self, answer: Any) -> str | None:
        """What is wrong with the shape of an answer (parsed JSON); None where nothing is."""

    def compare(self, answer: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float) -> Outcome:
        """Of two answers of the right shape with the same fields."""


def check(answer: Any, sample: Sample, labels: Collection[str] | None, tolerance: float) -> Outcome:
    """The outcome of one answer (parsed JSON); without known `labels`, any label will do."""
    instances = _instances(sample.request)
    if instances is None:
        return _check_one(answer, sample.expected, _check_of(sample.request, labels), tolerance)
    predictions = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(predictions, list) or len(predictions) != len(instances):
        return Outcome("wrong", "not one prediction for each instance")
    expected = sample.expected["predictions"] if sample.expected else [None] * len(instances)
    return worst(
        [
            _check_one(prediction, one, _check_of(instance, labels), tolerance)
            for prediction, one, instance in zip(predictions, expected, instances, strict=True)
        ]
    )


def usual_flips(samples: Sequence[Sample]) -> float:
    """The highest that is usual for one of these requests."""
    instances = [one for sample in samples for one in _instances(sample.request) or [sample.request]]
    return max(_check_of(instance, None).usual_flips for instance in instances)


def refusal(status: int, body: bytes | None) -> str:
    """A refused request in words that many share: its status and the error's code; status 0 is no answer at all."""
    if not status:
        return "no answer"
    try:
        content = json.loads(body or b"")
        return f"status {status} {content['error']['code'] if 'error' in content else content['type']}"
    except (ValueError, TypeError, KeyError):
        return f"status {status}"


def _instances(request: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """What a request with several instances asks, each with the options of the whole; None for a request of one."""
    if isinstance(request.get("instances"), list):
        return [{**request, **instance} for instance in request["instances"]]
    if isinstance(request.get("questions"), list):
        return [request] * len(request["questions"])
    return None


def _check_of(instance: Mapping[str, Any], labels: Collection[str] | None) -> Check:
    if "context" in instance:
        return AnswerCheck(instance["context"], instance.get("no_answer_threshold"))
    return LabelCheck(labels)


def _check_one(answer: Any, expected: Mapping[str, Any] | None, task: Check, tolerance: float) -> Outcome:
    if fault := task.fault(answer):
        return Outcome("wrong", fault)
    if expected is None:
        return RIGHT
    if set(answer) != set(expected):
        return Outcome("wrong", f"fields {sorted(answer)}, expected {sorted(expected)}")
    return task.compare(answer, expected, tolerance)
