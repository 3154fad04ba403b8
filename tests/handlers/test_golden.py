"""Test which answers agree with a golden one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handlers.golden import answer_mismatch, golden_mismatch
from handlers.pipelines.base import Pipeline
from handlers.pipelines.classification import ClassificationPipeline
from handlers.pipelines.question_answering import QuestionAnsweringPipeline

AnyPipeline = type[Pipeline]


@pytest.mark.parametrize(
    ("export", "task"), [("tiny_export", ClassificationPipeline), ("tiny_qa_export", QuestionAnsweringPipeline)]
)
def test_golden_requests_agree_alone_and_in_one_batch(
    export: str, task: AnyPipeline, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(export)
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    pipeline = task.load(folder)
    requests, expected = [pair["request"] for pair in golden], [pair["response"] for pair in golden]
    none = [None] * len(golden)
    assert [
        answer_mismatch(pipeline.predict([sent])[0], one) for one, sent in zip(expected, requests, strict=True)
    ] == none
    assert list(map(answer_mismatch, pipeline.predict(requests), expected)) == none
    assert list(map(answer_mismatch, [*expected[1:], expected[0]], expected)) != none


def labelled(*ranking: tuple[str, float], **more: Any) -> dict[str, Any]:
    entries = [{"label": label, "score": score} for label, score in ranking]
    return {**entries[0], "top_k": entries, **more}


SURE = labelled(("a", 0.97), ("b", 0.02), ("c", 0.005))
EDGE = labelled(("a", 0.41), ("b", 0.39), ("c", 0.15))


def test_scores_may_move_a_little() -> None:
    assert answer_mismatch(SURE, SURE) is None
    assert answer_mismatch(labelled(("a", 0.955), ("b", 0.03), ("d", 0.01)), SURE) is None
    assert answer_mismatch(labelled(("a", 0.93), ("b", 0.03)), SURE) == "the score of label 'a' is off"
    assert answer_mismatch(labelled(("a", 0.96), ("b", 0.05)), SURE) == "the score of label 'b' is off"
    assert answer_mismatch(SURE | {"score": 0.5}, SURE) == "the score of label 'a' is off"
    assert answer_mismatch(labelled(("a", float("nan"))), SURE) == "the score of label 'a' is off"


def test_another_label_agrees_only_where_it_was_about_as_likely() -> None:
    assert answer_mismatch(labelled(("b", 0.405), ("a", 0.4), ("c", 0.15)), EDGE) is None
    assert answer_mismatch(labelled(("b", 0.6), ("a", 0.2), ("c", 0.15)), EDGE) == "label 'b', expected 'a'"
    assert answer_mismatch(labelled(("c", 0.41), ("a", 0.4), ("b", 0.1)), EDGE) == "label 'c', expected 'a'"
    assert answer_mismatch(labelled(("d", 0.41), ("a", 0.4), ("b", 0.1)), EDGE) == "label 'd', expected 'a'"
    assert answer_mismatch(labelled(("b", 0.97), ("a", 0.02), ("c", 0.005)), SURE) == "label 'b', expected 'a'"


@pytest.mark.parametrize("got", [None, [], "a", {"error": {"code": "x"}}, {"label": "a"}, SURE | {"truncated": True}])
def test_the_fields_have_to_be_equal(got: Any) -> None:
    assert str(answer_mismatch(got, SURE)).startswith("fields ")


def test_an_answer_without_a_score_is_compared_by_its_label() -> None:
    assert answer_mismatch({"label": "a"}, {"label": "a"}) is None
    assert answer_mismatch({"label": "b"}, {"label": "a"}) == "label 'b', expected 'a'"


def test_the_complexity_is_compared_like_the_label() -> None:
    def with_complexity(label: str, score: float) -> dict[str, Any]:
        return SURE | {"complexity": {"label": label, "score": score}}

    assert answer_mismatch(with_complexity("low", 0.91), with_complexity("low", 0.9)) is None
    assert answer_mismatch(with_complexity("high", 0.5), with_complexity("low", 0.51)) is None
    assert answer_mismatch(with_complexity("high", 0.6), with_complexity("low", 0.51)) == "label 'high', expected 'low'"
    assert answer_mismatch(with_complexity("high", 0.9), with_complexity("low", 0.9)) == "label 'high', expected 'low'"
    assert answer_mismatch(SURE | {"complexity": None}, with_complexity("low", 0.9))


def test_predictions_are_compared_one_by_one_and_in_order() -> None:
    both = {"predictions": [SURE, EDGE]}
    assert answer_mismatch(both, both) is None
    assert answer_mismatch({"predictions": [EDGE, SURE]}, both) == "the score of label 'a' is off"
    for got in ([SURE], None):
        assert answer_mismatch({"predictions": got}, both) == "not one prediction for each instance"


def quoted(*ranking: tuple[str, float], no_answer: float = 0.01, start: int = 5) -> dict[str, Any]:
    entries = [{"answer": text, "score": score, "start": start, "end": start + len(text)} for text, score in ranking]
    return {**entries[0], "top_k": entries, "no_answer_score": no_answer}


def unanswered(no_answer: float, *ranking: tuple[str, float]) -> dict[str, Any]:
    """Return an empty answer, as a request with a threshold may get."""
    empty = {"answer": "", "score": no_answer, "start": 0, "end": 0}
    return quoted(*ranking, no_answer=no_answer) | empty


JOSE = quoted(("José", 0.5), ("Łódź", 0.48), ("1901", 0.005))


def test_the_same_words_agree_at_any_position() -> None:
    assert answer_mismatch(quoted(("José", 0.495), ("Łódź", 0.48), start=9), JOSE) is None


def test_other_words_agree_only_where_they_were_about_as_likely() -> None:
    assert answer_mismatch(quoted(("Łódź", 0.495), ("José", 0.485)), JOSE) is None
    assert answer_mismatch(quoted(("1901", 0.5), ("José", 0.485)), JOSE) == "other words than expected"
    assert answer_mismatch(quoted(("Ana", 0.5), ("José", 0.485)), JOSE) == "other words than expected"


def test_the_reason_of_a_wrong_score_quotes_no_words() -> None:
    for got in (quoted(("José", 0.6)), quoted(("José", 0.5), no_answer=0.05)):
        assert answer_mismatch(got, JOSE) == "the score of an answer is off"


def test_words_and_no_answer_agree_only_on_two_sides_of_a_threshold() -> None:
    some, none = quoted(("José", 0.65), no_answer=0.245), unanswered(0.255, ("José", 0.64))
    assert answer_mismatch(none, none) is None
    assert answer_mismatch(none, some) is None
    assert answer_mismatch(some, none) is None
    assert answer_mismatch(unanswered(0.3, ("José", 0.65)), some) == "the score of an answer is off"
    assert answer_mismatch(unanswered(0.245, ("José", 0.65)), some) == "other words than expected"
    assert answer_mismatch(quoted(("José", 0.64), no_answer=0.255), none) == "other words than expected"
    plain = {"answer": "José", "score": 0.5, "start": 5, "end": 9}
    assert answer_mismatch(plain | {"answer": "", "end": 5}, plain) == "other words than expected"


CONTEXT = "Ana José Łódź 1901"
ASKED: dict[str, Any] = {"question": "who?", "context": CONTEXT}


def placed(*ranking: tuple[str, float], **more: Any) -> dict[str, Any]:
    entries = [
        {"answer": text, "score": score, "start": CONTEXT.index(text), "end": CONTEXT.index(text) + len(text)}
        for text, score in ranking
    ]
    return {**entries[0], "top_k": entries, "no_answer_score": 0.01, **more}


RIGHT = placed(("José", 0.5), ("Łódź", 0.48))


def test_words_have_to_be_at_the_position_in_the_answer() -> None:
    pair = {"request": ASKED, "response": RIGHT}
    assert golden_mismatch(RIGHT, pair) is None
    moved = placed(("José", 0.5), ("Łódź", 0.48))
    moved["top_k"][1] |= {"start": 0, "end": 4}
    for wrong in (RIGHT | {"start": 99, "end": 103}, RIGHT | {"start": 5, "end": 9}, RIGHT | {"start": -4}, moved):
        assert "place in the context" in str(golden_mismatch(wrong, pair))


def test_an_answer_may_agree_with_fp32_instead_of_int8_whose_mismatch_is_the_reason() -> None:
    pair = {"request": {"text": "hello"}, "response": SURE, "fp32": EDGE}
    assert [golden_mismatch(answer, pair) for answer in (SURE, EDGE)] == [None, None]
    assert golden_mismatch(labelled(("b", 0.97), ("a", 0.02)), pair) == "label 'b', expected 'a'"
    assert golden_mismatch(labelled(("a", 0.7), ("b", 0.2)), pair) == "the score of label 'a' is off"
    assert "place in the context" in str(golden_mismatch(SURE, {"request": ASKED, "response": RIGHT, "fp32": RIGHT}))


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        {"top_k": None},
        {"top_k": [None]},
        {"top_k": [{}]},
        {"score": "hi"},
        {"score": None},
        {"score": float("nan")},
        {"no_answer_score": None},
        {"answer": None},
        {"label": ["a"]},
        {"complexity": "low"},
    ],
)
def test_a_malformed_answer_gets_a_reason(change: dict[str, Any], many: bool) -> None:
    """Raise no exception for it: whoever checks a server relies on that."""
    for request, right in ((ASKED, RIGHT), ({"text": "hello"}, SURE), ("hello", SURE)):
        pair, wrong = {"request": request, "response": right}, right | change
        if many and request != "hello":
            pair = {"request": {"instances": [request, request]}, "response": {"predictions": [right, right]}}
            wrong = {"predictions": [right, wrong]}
        assert golden_mismatch(wrong, pair)


@pytest.mark.parametrize("got", [None, [], "hello", {}, {"predictions": None}, {"predictions": [RIGHT]}])
def test_an_answer_of_another_kind_gets_a_reason(got: Any) -> None:
    assert golden_mismatch(got, {"request": ASKED, "response": RIGHT})
    several = {"questions": ["who?", "where?"], "context": CONTEXT}
    assert golden_mismatch(got, {"request": several, "response": {"predictions": [RIGHT, RIGHT]}})
