"""Which answers are right, which are flips, which are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.checks import TOLERANCE, Outcome, check, refusal
from loadtest.samples import Sample

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
