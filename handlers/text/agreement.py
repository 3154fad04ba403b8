"""Whether a served answer agrees with the golden one: for all tasks, and for whoever checks a model or its server.

An answer does not depend on the requests that it is batched with, but scores move a little: a batch sums in another
order, another processor rounds INT8 products differently. Standard library only: the load test checks answers with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handlers.text.shapes import shape_fault

TOLERANCE = 0.02  # between two scores of one name, which are probabilities
FORMS = ("response", "fp32")  # of the answers in a pair of golden.json: the served INT8 model's, and fp32's

Answer = Mapping[str, Any]


def golden_fault(pair: Mapping[str, Any], answer: Any) -> str | None:
    """None where `answer` (parsed JSON) has the right shape and agrees with a pair of golden.json, else the reason.

    It agrees with the INT8 model's answer or with fp32's, which a worker serves where INT8 is wrong on its machine.
    """
    return shape_fault(answer, pair["request"]) or unlike([pair[form] for form in FORMS if form in pair], answer)


def form_fault(pair: Mapping[str, Any], form: str, answer: Any) -> str | None:
    """The same for one of `FORMS`."""
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
