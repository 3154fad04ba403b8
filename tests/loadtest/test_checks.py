"""Which answers are right, which are flips, which are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.checks import check, refusal, usual_flips
from loadtest.comparison import TOLERANCE, Outcome
from loadtest.samples import Sample

CONTEXT = "In 1901 Ana 🎈 met José in Łódź; Ana left."
LABELS = ["a", "b", "c", "d"]


def answer(*ranking: tuple[str, float], **more: Any) -> dict[str, Any]:
    entries = [{"label": label, "score": score} for label, score in ranking]
    return {**entries[0], "top_k": entries, **more}


SURE = answer(("a", 0.97), ("b", 0.02), ("c", 0.005))
EDGE = answer(("a", 0.41), ("b", 0.39), ("c", 0.15))


def outcome(got: Any, expected: dict[str, Any] | None, request: dict[str, Any] | None = None) -> Outcome:
    return check(got, Sample(request or {"text": "x"}, expected), LABELS, TOLERANCE)


def test_the_expected_answer_is_right() -> None:
    assert outcome(SURE, SURE).kind == "right"


def test_scores_may_move_as_much_as_int8_moves_them() -> None:
    assert outcome(answer(("a", 0.955), ("b", 0.03), ("c", 0.01)), SURE).kind == "right"
    assert outcome(answer(("a", 0.55), ("b", 0.3), ("c", 0.1)), EDGE).kind == "right"


@pytest.mark.parametrize(("got", "expected"), [(0.999999, 1.0), (1.0, 0.985), (0.0, 0.015)])
def test_small_differences_at_the_ends_are_right(got: float, expected: float) -> None:
    assert outcome(answer(("a", got)), answer(("a", expected))).kind == "right"


def test_a_score_far_off_is_wrong() -> None:
    result = outcome(answer(("a", 0.6), ("b", 0.3), ("c", 0.1)), SURE)
    assert (result.kind, "'a'" in result.reason) == ("wrong", True)


def test_another_label_is_a_flip_only_where_both_were_as_likely() -> None:
    assert outcome(answer(("b", 0.42), ("a", 0.4), ("c", 0.1)), EDGE).kind == "flip"
    result = outcome(answer(("b", 0.97), ("a", 0.02), ("c", 0.005)), SURE)
    assert result == Outcome("wrong", "label 'b', expected 'a'")
    assert outcome(answer(("d", 0.5), ("a", 0.4), ("c", 0.1)), EDGE).kind == "wrong"  # at most 0.05 was left for d


def test_the_complexity_is_judged_like_the_label() -> None:
    expected = SURE | {"complexity": {"label": "low", "score": 0.9}}
    edge = SURE | {"complexity": {"label": "low", "score": 0.51}}
    got = SURE | {"complexity": {"label": "high", "score": 0.6}}
    assert outcome(expected, expected).kind == "right"
    assert outcome(got, edge).kind == "flip"
    assert outcome(got, expected).kind == "wrong"
    assert outcome(SURE, expected).kind == "wrong"
    assert outcome(SURE | {"complexity": None}, expected).kind == "wrong"


@pytest.mark.parametrize(
    "got",
    [
        None,
        [],
        "a",
        {},
        {"label": "a"},
        {"label": "a", "score": "0.5"},
        {"label": "a", "score": True},
        {"label": "a", "score": 1.2},
        {"label": "a", "score": float("nan")},
        {"label": "nobody", "score": 0.5},
        {"error": {"code": "x", "message": "y"}},
    ],
)
def test_without_an_expected_answer_the_shape_is_judged(got: Any) -> None:
    assert outcome(got, None).kind == "wrong"
    assert outcome({"label": "d", "score": 0.5}, None).kind == "right"


def test_without_known_labels_any_label_will_do() -> None:
    assert check({"label": "z", "score": 0.5}, Sample({"text": "x"}, None), None, TOLERANCE).kind == "right"


def test_instances_are_judged_one_by_one_and_in_order() -> None:
    request = {"instances": [{"text": "x"}, {"text": "y"}]}
    other = answer(("c", 0.98), ("a", 0.01), ("b", 0.005))
    expected = {"predictions": [SURE, other]}
    assert outcome(expected, expected, request).kind == "right"
    assert outcome(expected, None, request).kind == "right"
    assert outcome({"predictions": [other, SURE]}, expected, request).kind == "wrong"
    assert outcome({"predictions": [SURE]}, None, request).kind == "wrong"
    assert outcome(SURE, None, request).kind == "wrong"


def quote(text: str, score: float, start: int | None = None) -> dict[str, Any]:
    start = CONTEXT.index(text) if start is None else start
    return {"answer": text, "score": score, "start": start, "end": start + len(text)}


def quoted(*ranking: tuple[str, float], no_answer: float = 0.01, **more: Any) -> dict[str, Any]:
    entries = [quote(*one) for one in ranking]
    return {**(entries or [quote("", no_answer, 0)])[0], "top_k": entries, "no_answer_score": no_answer, **more}


CERTAIN = quoted(("José", 0.95), ("1901", 0.02), ("Łódź", 0.005))
CLOSE = quoted(("José", 0.41), ("Łódź", 0.39), ("1901", 0.18))
QUESTION = {"question": "Whom did Ana meet?", "context": CONTEXT}


def judged(got: Any, expected: dict[str, Any] | None, **options: Any) -> Outcome:
    return check(got, Sample(QUESTION | options, expected), None, TOLERANCE)


def test_the_expected_words_are_right_wherever_they_stand() -> None:
    assert judged(CERTAIN, CERTAIN).kind == "right"
    assert judged(CERTAIN | {"score": 0.9}, CERTAIN).kind == "right"
    ana = quoted(("Ana", 0.6), ("José", 0.1))
    assert judged(ana | quote("Ana", 0.55, CONTEXT.rindex("Ana")), ana).kind == "right"


def test_an_answer_of_which_the_score_is_far_off_is_wrong() -> None:
    assert judged(quoted(("José", 0.6), ("1901", 0.3)), CERTAIN) == Outcome(
        "wrong", "the score of answer 'José' is far from the expected one"
    )


def test_other_words_are_a_flip_only_where_both_were_as_likely() -> None:
    assert judged(quoted(("Łódź", 0.42), ("José", 0.4)), CLOSE).kind == "flip"
    assert judged(quoted(("Łódź", 0.42), ("José", 0.4)), CERTAIN) == Outcome("wrong", "answer 'Łódź', expected 'José'")
    assert judged(quoted(("Ana", 0.4), ("José", 0.4)), CLOSE).kind == "wrong"  # at most 0.02 was left for it


def test_no_answer_is_a_flip_only_near_the_threshold() -> None:
    none, some = quoted(no_answer=0.3), quoted(("José", 0.65), no_answer=0.2)
    assert judged(none, some, no_answer_threshold=0.25).kind == "flip"
    assert judged(some, none | {"top_k": some["top_k"]}, no_answer_threshold=0.25).kind == "flip"
    assert judged(none, CERTAIN, no_answer_threshold=0.25).kind == "wrong"
    assert judged(none, none, no_answer_threshold=0.25).kind == "right"


@pytest.mark.parametrize(
    "got",
    [
        None,
        {"label": "a", "score": 0.5},
        quote("José", 1.2),
        quote("José", 0.5, 3),
        quote("José", 0.5) | {"end": len(CONTEXT) + 1},
        quote("José", 0.5) | {"answer": "Jose"},
        quote("José", 0.5) | {"start": float(CONTEXT.index("José"))},
        {"answer": "", "score": 0.5, "start": -1, "end": 0},
        {"answer": "I", "score": 0.5, "start": False, "end": True},
        {"answer": "José", "score": 0.5},
        quote("José", 0.5) | {"top_k": [quote("1901", 0.1, 0)]},
        quote("José", 0.5) | {"top_k": None},
        quote("José", 0.5) | {"no_answer_score": None},
    ],
)
def test_an_answer_has_to_stand_at_its_place_in_the_context(got: Any) -> None:
    assert judged(got, None).kind == "wrong"
    assert judged(quote("José", 0.5), None).kind == "right"


def test_questions_on_one_context_are_judged_one_by_one() -> None:
    request = {"context": CONTEXT, "questions": ["Who?", "When?"], "no_answer_threshold": 0.25}
    other = quoted(("1901", 0.95), ("José", 0.01))
    sample = Sample(request, {"predictions": [CERTAIN, other]})
    assert check({"predictions": [CERTAIN, other]}, sample, None, TOLERANCE).kind == "right"
    assert check({"predictions": [other, CERTAIN]}, sample, None, TOLERANCE).kind == "wrong"
    assert check({"predictions": [CERTAIN]}, sample, None, TOLERANCE).kind == "wrong"
    misplaced = {"predictions": [CERTAIN, quote("1901", 0.9, 0)]}
    assert check(misplaced, Sample(request, None), None, TOLERANCE).kind == "wrong"


def test_more_flips_are_usual_for_answers_than_for_labels() -> None:
    text, question = Sample({"text": "x"}, None), Sample({"instances": [QUESTION]}, None)
    assert usual_flips([text]) < usual_flips([question]) == usual_flips([text, question])


def test_each_instance_has_its_own_context_and_the_threshold_of_all() -> None:
    instances = [QUESTION, {"question": "Who?", "context": "Łódź met Ana."}]
    elsewhere = {"answer": "Ana", "score": 0.9, "start": 9, "end": 12}
    sample = Sample({"instances": instances}, None)
    assert check({"predictions": [CERTAIN, elsewhere]}, sample, None, TOLERANCE).kind == "right"
    assert check({"predictions": [elsewhere, CERTAIN]}, sample, None, TOLERANCE).kind == "wrong"
    some = quoted(("José", 0.65), no_answer=0.2)
    sample = Sample({"instances": [QUESTION], "no_answer_threshold": 0.25}, {"predictions": [some]})
    assert check({"predictions": [quoted(no_answer=0.3)]}, sample, None, TOLERANCE).kind == "flip"


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (0, None, "no answer"),
        (400, b'{"error": {"code": "empty_text", "message": "m", "field": "text"}}', "status 400 empty_text"),
        (404, b'{"code": 404, "type": "ModelNotFoundException", "message": "m"}', "status 404 ModelNotFoundException"),
        (502, b"<html>", "status 502"),
        (500, b"[]", "status 500"),
    ],
)
def test_a_refusal_is_told_by_its_status_and_code(status: int, body: bytes | None, told: str) -> None:
    assert refusal(status, body) == told
