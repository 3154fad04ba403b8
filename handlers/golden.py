"""Compare served answers with golden ones, for every task.

Each check returns None if the answer is right, or else a reason that quotes label names but no text of the request, so
that reasons can be logged and counted. Answers do not depend on the requests they are batched with, but scores vary a
little: a batch sums in another order, and another processor rounds INT8 products differently. This module imports the
standard library only, because the load test uses it too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

# Largest difference between two scores (probabilities) of the same label or answer.
TOLERANCE = 0.02
# Keys of the answers in a pair of golden.json: INT8's, and fp32's, which a worker serves where INT8 is wrong.
ANSWER_KEYS = ("response", "fp32")

Answer = Mapping[str, Any]


def golden_mismatch(answer: Any, pair: Mapping[str, Any], keys: Sequence[str] = ANSWER_KEYS) -> str | None:
    """Return why an answer (parsed JSON) is malformed or agrees with no answer of a golden.json pair, or None."""
    return shape_error(answer, pair["request"]) or answer_mismatch(answer, *(pair[key] for key in keys if key in pair))


def answer_mismatch(answer: Any, *expected: Answer) -> str | None:
    """Return how an answer (parsed JSON) differs from the first expected one, or None if it agrees with any of them.

    The comparison covers the set of fields, the label or the answer's words (not their place: they may occur at
    several), and the score of every name that both answers list. `shape_error` must have accepted the answer.
    """
    mismatches = [_mismatch(answer, one) for one in expected]
    return mismatches[0] if all(mismatches) else None


def shape_error(answer: Any, request: Mapping[str, Any] | str, labels: Collection[str] | None = None) -> str | None:
    """Return what is wrong with the shape of the answer (parsed JSON) to a valid request, or None.

    If `labels` is None, any label is accepted.
    """
    instances = _instances(request)
    if instances is None:
        return _instance_error(answer, request, labels)
    predictions = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(predictions, list) or len(predictions) != len(instances):
        return "not one prediction for each instance"
    pairs = zip(predictions, instances, strict=True)
    return _first(_instance_error(prediction, instance, labels) for prediction, instance in pairs)


def _mismatch(answer: Any, expected: Answer) -> str | None:
    if not isinstance(answer, Mapping) or set(answer) != set(expected):
        fields = sorted(answer) if isinstance(answer, Mapping) else type(answer).__name__
        return f"fields {fields}, expected {sorted(expected)}"
    mismatches = [_name_mismatch(answer, expected, field) for field in ("label", "answer") if field in expected]
    if "complexity" in expected:
        mismatches.append(_mismatch(answer["complexity"], expected["complexity"]))
    if "predictions" in expected:
        mismatches.append(_predictions_mismatch(answer["predictions"], expected["predictions"]))
    return _first(mismatches)


def _predictions_mismatch(answers: Any, expected: list[Answer]) -> str | None:
    if not isinstance(answers, list) or len(answers) != len(expected):
        return "not one prediction for each instance"
    return _first(map(_mismatch, answers, expected))


def _name_mismatch(answer: Answer, expected: Answer, field: str) -> str | None:
    """Compare the label, or the answer's words, and the scores; `field` is which of the two."""
    name, expected_name = answer[field], expected[field]
    scores, expected_scores = _scores(answer, field), _scores(expected, field)
    if name == expected_name:
        agrees = True
    elif name and expected_name:
        agrees = expected_name in expected_scores and _is_near_tie(answer, expected, field)
    else:  # a threshold between the two scores of no answer
        empty, full = (scores, expected_scores) if expected_name else (expected_scores, scores)
        agrees = "no_answer_score" in expected and empty[""] > full[""]
    if not agrees:
        return f"label {name!r}, expected {expected_name!r}" if field == "label" else "other words than expected"
    for one in scores:
        if one in expected_scores and not abs(scores[one] - expected_scores[one]) <= TOLERANCE:
            return f"the score of label {one!r} is off" if field == "label" else "the score of an answer is off"
    return None


def _is_near_tie(answer: Answer, expected: Answer, field: str) -> bool:
    """Return whether both names were about equally likely.

    A complexity comes without a list of others, so the other level is taken to have had all the remaining probability.
    """
    best = expected["score"]
    unlisted = 0.0 if "top_k" in expected or field == "answer" else 1 - best
    other = _scores(expected, field).get(answer[field], unlisted)
    return best - other <= 2 * TOLERANCE and abs(answer["score"] - best) <= TOLERANCE


def _scores(answer: Answer, field: str) -> dict[str, float]:
    """Return the scores by name, best first; the name of no answer is empty."""
    scores = {entry[field]: entry["score"] for entry in [*answer.get("top_k", []), answer] if "score" in entry}
    return scores | ({"": answer["no_answer_score"]} if "no_answer_score" in answer else {})


def _instances(request: Mapping[str, Any] | str) -> list[Mapping[str, Any]] | None:
    """Return the instances of a request with several; None for a request of one."""
    if isinstance(request, str):
        return None
    if "questions" in request:
        return [request] * len(request["questions"])
    return request.get("instances")


def _instance_error(answer: Any, instance: Mapping[str, Any] | str, labels: Collection[str] | None) -> str | None:
    if not isinstance(instance, str) and "context" in instance:
        return _quotation_error(answer, instance["context"])
    return _label_error(answer, labels)


def _label_error(answer: Any, labels: Collection[str] | None) -> str | None:
    if not _is_label(answer):
        return "no label with a score from 0 to 1"
    if labels is not None and answer["label"] not in labels:
        return f"unknown label {answer['label']!r}"
    if not _is_list(answer.get("top_k", []), _is_label):
        return "no top_k of labels with a score from 0 to 1"
    if "complexity" in answer and not _is_label(answer["complexity"]):
        return "no complexity with a score from 0 to 1"
    return None


def _quotation_error(answer: Any, context: str) -> str | None:
    if not _is_quotation(answer, context):
        return "no answer with a score from 0 to 1 and its place in the context"
    if not _is_list(answer.get("top_k", []), lambda entry: _is_quotation(entry, context)):
        return "no top_k of answers with a score from 0 to 1 and their place in the context"
    if "no_answer_score" in answer and not _is_score(answer["no_answer_score"]):
        return "no no_answer_score from 0 to 1"
    return None


def _is_label(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("label"), str) and _is_score(answer.get("score"))


def _is_quotation(answer: Any, context: str) -> bool:
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


def _first(reasons: Iterable[str | None]) -> str | None:
    return next(filter(None, reasons), None)
