"""What can be wrong with an answer whatever the model: its shape, and the place of its words in the context.

Standard library only: the load test checks answers with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any


def shape_fault(answer: Any, request: Mapping[str, Any] | str, labels: Collection[str] | None = None) -> str | None:
    """Of the answer (parsed JSON) to a right request of any form; without known `labels`, any label will do."""
    instances = _instances(request)
    if instances is None:
        return _fault(answer, request, labels)
    predictions = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(predictions, list) or len(predictions) != len(instances):
        return "not one prediction for each instance"
    pairs = zip(predictions, instances, strict=True)
    return next(filter(None, (_fault(prediction, instance, labels) for prediction, instance in pairs)), None)


def _instances(request: Mapping[str, Any] | str) -> list[Mapping[str, Any]] | None:
    """What a request with several instances asks; None for a request of one."""
    if isinstance(request, str):
        return None
    if "questions" in request:
        return [request] * len(request["questions"])
    return request.get("instances")


def _fault(answer: Any, instance: Mapping[str, Any] | str, labels: Collection[str] | None) -> str | None:
    if not isinstance(instance, str) and "context" in instance:
        return _span_fault(answer, instance["context"])
    return _label_fault(answer, labels)


def _label_fault(answer: Any, labels: Collection[str] | None) -> str | None:
    if not _is_ranked(answer):
        return "no label with a score from 0 to 1"
    if labels is not None and answer["label"] not in labels:
        return f"unknown label {answer['label']!r}"
    if not _is_list(answer.get("top_k", []), _is_ranked):
        return "no top_k of labels with a score from 0 to 1"
    if "complexity" in answer and not _is_ranked(answer["complexity"]):
        return "no complexity with a score from 0 to 1"
    return None


def _span_fault(answer: Any, context: str) -> str | None:
    if not _is_quoted(answer, context):
        return "no answer with a score from 0 to 1 and its place in the context"
    if not _is_list(answer.get("top_k", []), lambda entry: _is_quoted(entry, context)):
        return "no top_k of answers with a score from 0 to 1 and their place in the context"
    if "no_answer_score" in answer and not _is_score(answer["no_answer_score"]):
        return "no no_answer_score from 0 to 1"
    return None


def _is_ranked(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("label"), str) and _is_score(answer.get("score"))


def _is_quoted(answer: Any, context: str) -> bool:
    if not isinstance(answer, dict) or not _is_score(answer.get("score")):
        return False
    start, end = answer.get("start"), answer.get("end")
    if type(start) is not int or type(end) is not int or not 0 <= start <= end <= len(context):
        return False
    return bool(answer.get("answer") == context[start:end])


def _is_list(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(of, value))


def _is_score(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
