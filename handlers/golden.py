"""Whether a served answer agrees with the golden one: for all tasks, and for whoever checks a model or its server.

An answer does not depend on the requests that it is batched with, but scores move a little: a batch sums in another
order, another processor rounds INT8 products differently. Standard library only: the load test checks answers with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

TOLERANCE = 0.02  # between two scores of one name, which are probabilities
ANSWER_KEYS = ("response", "fp32")  # in a pair of golden.json: the answers of the served INT8 model and of fp32

Answer = Mapping[str, Any]


def golden_fault(pair: Mapping[str, Any], answer: Any) -> str | None:
    """None where `answer` (parsed JSON) has the right shape and agrees with a pair of golden.json, else the reason.

    It agrees with the INT8 model's answer or with fp32's, which a worker serves where INT8 is wrong on its machine.
    """
    return shape_fault(answer, pair["request"]) or unlike([pair[form] for form in ANSWER_KEYS if form in pair], answer)


def form_fault(pair: Mapping[str, Any], form: str, answer: Any) -> str | None:
    """The same for one of `ANSWER_KEYS`."""
    return shape_fault(answer, pair["request"]) or disagreement(pair[form], answer)


def unlike(expected: Sequence[Answer], answer: Any) -> str | None:
    """None where `answer` agrees with one of those expected, else how it differs from the first."""
    reasons = [disagreement(one, answer) for one in expected]
    return reasons[0] if all(reasons) else None


def disagreement(expected: Answer, answer: Any) -> str | None:
    """None where `answer` (parsed JSON) agrees with `expected`, else the reason, in words that many requests share.

    They quote no text, only names of labels. What is compared: the fields, the label or the answer's words (not their
    place, they may stand at several), and the score of every name that both list. Both are of the right shape, as by
    `shape_fault`, but for their fields.
    """
    if not isinstance(answer, Mapping) or set(answer) != set(expected):
        found = sorted(answer) if isinstance(answer, Mapping) else type(answer).__name__
        return f"fields {found}, expected {sorted(expected)}"
    reasons = [_of_name(expected, answer, field) for field in ("label", "answer") if field in expected]
    if "complexity" in expected:
        reasons.append(disagreement(expected["complexity"], answer["complexity"]))
    if "predictions" in expected:
        reasons.append(_of_predictions(expected["predictions"], answer["predictions"]))
    return next(filter(None, reasons), None)


def _of_predictions(expected: list[Answer], answers: Any) -> str | None:
    if not isinstance(answers, list) or len(answers) != len(expected):
        return "not one prediction for each instance"
    return next(filter(None, map(disagreement, expected, answers)), None)


def _of_name(expected: Answer, answer: Answer, field: str) -> str | None:
    name, other = expected[field], answer[field]
    scores, others = _scores(expected, field), _scores(answer, field)
    if name == other:
        same = True
    elif name and other:
        same = name in scores and _is_near_tie(expected, answer, field)
    else:  # a threshold between the two scores of no answer
        empty, full = (others, scores) if name else (scores, others)
        same = "no_answer_score" in expected and empty[""] > full[""]
    if not same:
        return f"label {other!r}, expected {name!r}" if field == "label" else "other words than expected"
    for one in others:
        if one in scores and not abs(others[one] - scores[one]) <= TOLERANCE:
            return f"the score of label {one!r} is off" if field == "label" else "the score of an answer is off"
    return None


def _is_near_tie(expected: Answer, answer: Answer, field: str) -> bool:
    """Whether both names were about as likely; a complexity lists no other: it may have had all that was left."""
    best = expected["score"]
    unlisted = 0.0 if "top_k" in expected or field == "answer" else 1 - best
    other = _scores(expected, field).get(answer[field], unlisted)
    return best - other <= 2 * TOLERANCE and abs(answer["score"] - best) <= TOLERANCE


def _scores(answer: Answer, field: str) -> dict[str, float]:
    """By name, best first; the name of no answer is empty."""
    scores = {entry[field]: entry["score"] for entry in [*answer.get("top_k", []), answer] if "score" in entry}
    return scores | ({"": answer["no_answer_score"]} if "no_answer_score" in answer else {})


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
