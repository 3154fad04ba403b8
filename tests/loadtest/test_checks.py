"""Test that right and wrong answers are told apart."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.checks import answer_error, refusal
from loadtest.samples import Sample

CONTEXT = "In 1901 Ana 🎈 met José in Łódź; Ana left."
QUESTION = {"question": "Whom did Ana meet?", "context": CONTEXT}
LABELS = ["a", "b", "c", "d"]
RIGHT = {"label": "a", "score": 0.97}
OTHER = {"label": "c", "score": 0.98}


def error_of(got: Any, expected: dict[str, Any] | None, request: dict[str, Any] | None = None) -> str | None:
    return answer_error(got, Sample(request or {"text": "x"}, expected), LABELS)


def test_an_answer_has_to_agree_with_the_expected_one() -> None:
    assert error_of(RIGHT, RIGHT) is None
    assert error_of(OTHER, RIGHT) == "label 'c', expected 'a'"


def test_an_answer_may_be_that_of_fp32_instead() -> None:
    sample = Sample({"text": "x"}, RIGHT, OTHER)
    assert [answer_error(answer, sample, LABELS) for answer in (RIGHT, OTHER)] == [None, None]
    assert answer_error({"label": "b", "score": 0.9}, sample, LABELS) == "label 'b', expected 'a'"


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
        {"label": "a", "score": 0.5, "top_k": None},
        {"label": "a", "score": 0.5, "top_k": [{"label": "a"}]},
        {"label": "a", "score": 0.5, "complexity": None},
        {"error": {"code": "x", "message": "y"}},
    ],
)
def test_without_an_expected_answer_the_shape_is_checked(got: Any) -> None:
    assert error_of(got, None)
    assert error_of({"label": "d", "score": 0.5}, None) is None


def test_without_known_labels_any_label_is_accepted() -> None:
    assert answer_error({"label": "z", "score": 0.5}, Sample({"text": "x"}, None), None) is None


def test_instances_are_checked_one_by_one_and_in_order() -> None:
    request = {"instances": [{"text": "x"}, {"text": "y"}]}
    expected = {"predictions": [RIGHT, OTHER]}
    assert error_of(expected, expected, request) is None
    assert error_of(expected, None, request) is None
    assert error_of({"predictions": [OTHER, RIGHT]}, expected, request) == "label 'c', expected 'a'"
    assert error_of({"predictions": [RIGHT]}, None, request) == "not one prediction for each instance"
    assert error_of(RIGHT, None, request) == "not one prediction for each instance"
    assert (
        error_of({"predictions": [RIGHT, {"label": "nobody", "score": 0.5}]}, None, request) == "unknown label 'nobody'"
    )


def quote(text: str, score: float, start: int | None = None) -> dict[str, Any]:
    start = CONTEXT.index(text) if start is None else start
    return {"answer": text, "score": score, "start": start, "end": start + len(text)}


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
def test_an_answer_has_to_be_at_its_position_in_the_context(got: Any) -> None:
    assert error_of(got, None, QUESTION)
    assert error_of(quote("José", 0.5), None, QUESTION) is None


def test_questions_on_one_context_are_checked_one_by_one() -> None:
    request = {"context": CONTEXT, "questions": ["Who?", "When?"]}
    who, when = quote("José", 0.95), quote("1901", 0.9)
    expected = {"predictions": [who, when]}
    assert error_of(expected, expected, request) is None
    assert error_of({"predictions": [when, who]}, expected, request)
    assert error_of({"predictions": [who]}, None, request)
    assert error_of({"predictions": [who, quote("1901", 0.9, 0)]}, None, request)


def test_each_instance_has_a_separate_context() -> None:
    request = {"instances": [QUESTION, {"question": "Who?", "context": "Łódź met Ana."}]}
    here, elsewhere = quote("José", 0.95), {"answer": "Ana", "score": 0.9, "start": 9, "end": 12}
    assert error_of({"predictions": [here, elsewhere]}, None, request) is None
    assert error_of({"predictions": [elsewhere, here]}, None, request)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (0, None, "no answer"),
        (400, b'{"error": {"code": "empty_text", "message": "m", "field": "text"}}', "status 400 empty_text"),
        (404, b'{"code": 404, "type": "ModelNotFoundException", "message": "m"}', "status 404 ModelNotFoundException"),
        (502, b"<html>", "status 502"),
        (500, b"[]", "status 500"),
    ],
)
def test_a_refusal_is_reported_by_its_status_and_code(status: int, body: bytes | None, message: str) -> None:
    assert refusal(status, body) == message
