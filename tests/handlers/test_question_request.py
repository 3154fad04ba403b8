"""Test requests with questions: every accepted form, and every mistake."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.pipelines.question_answering import Options, QuestionAnsweringPipeline, QuestionInstance
from handlers.request import MAX_INSTANCES, Request, RequestError, read_payload

ASKED = {"question": "Who?", "context": "Ada did."}


def parse(body: Any) -> Request[QuestionInstance]:
    return QuestionAnsweringPipeline.parse(read_payload({"body": body}))


def instance(question: str = "Who?", context: str = "Ada did.", **options: Any) -> QuestionInstance:
    return QuestionInstance(question, context, Options(**options))


def test_one_question() -> None:
    assert parse(ASKED) == Request([instance()], many=False)
    assert parse(json.dumps(ASKED).encode()) == Request([instance(top_k=3)], many=False)


def test_several_questions_share_context_and_options() -> None:
    body = {"questions": ["Who?", "When?"], "context": "Ada did.", "top_k": 2, "no_answer_threshold": 0.5}
    options = {"top_k": 2, "no_answer_threshold": 0.5}
    assert parse(body) == Request([instance(**options), instance("When?", **options)], many=True)
    assert parse({"questions": ["Who?"], "context": "Ada did."}).many


def test_instances_inherit_the_options_of_the_request_unless_they_set_them() -> None:
    body = {"top_k": 5, "no_answer_threshold": 1, "instances": [ASKED, ASKED | {"top_k": 1, "no_answer_threshold": 0}]}
    expected = [instance(top_k=5, no_answer_threshold=1), instance(top_k=1, no_answer_threshold=0)]
    assert parse(body) == Request(expected, many=True)


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ("Who?", 400, "wrong_type", None),
        (b'"Who?"', 400, "wrong_type", None),
        ([ASKED], 400, "wrong_type", None),
        ({}, 400, "missing_field", "question"),
        ({"context": "Ada did."}, 400, "missing_field", "question"),
        ({"question": "Who?"}, 400, "missing_field", "context"),
        ({"questions": ["Who?"]}, 400, "missing_field", "context"),
        ({"text": "Who?"}, 400, "unknown_field", "text"),
        (ASKED | {"question": ""}, 400, "empty_text", "question"),
        (ASKED | {"context": " \n"}, 400, "empty_text", "context"),
        (ASKED | {"question": ["Who?"]}, 400, "wrong_type", "question"),
        (ASKED | {"context": None}, 400, "wrong_type", "context"),
        (b'{"question": "\\ud800", "context": "a"}', 400, "invalid_text", "question"),
        (ASKED | {"top_k": 0}, 400, "out_of_range", "top_k"),
        (ASKED | {"top_k": "3"}, 400, "wrong_type", "top_k"),
        (ASKED | {"no_answer_threshold": "0.5"}, 400, "wrong_type", "no_answer_threshold"),
        (ASKED | {"no_answer_threshold": True}, 400, "wrong_type", "no_answer_threshold"),
        (ASKED | {"no_answer_threshold": None}, 400, "wrong_type", "no_answer_threshold"),
        (ASKED | {"no_answer_threshold": 1.01}, 400, "out_of_range", "no_answer_threshold"),
        (b'{"question": "a", "context": "a", "no_answer_threshold": NaN}', 400, "out_of_range", "no_answer_threshold"),
        (
            b'{"question": "a", "context": "a", "no_answer_threshold": -1e999}',
            400,
            "out_of_range",
            "no_answer_threshold",
        ),
        (ASKED | {"questions": ["Who?"]}, 400, "conflicting_fields", "questions"),
        ({"questions": "Who?", "context": "a"}, 400, "wrong_type", "questions"),
        ({"questions": {"a": "Who?"}, "context": "a"}, 400, "wrong_type", "questions"),
        ({"questions": [], "context": "a"}, 400, "empty_questions", "questions"),
        ({"questions": ["a"] * (MAX_INSTANCES + 1), "context": "a"}, 413, "too_many_questions", "questions"),
        ({"questions": ["a", "b", ""], "context": "a"}, 400, "empty_text", "questions[2]"),
        ({"questions": ["a", 3], "context": "a"}, 400, "wrong_type", "questions[1]"),
        ({"questions": ["a", "b"], "context": ["a", "b", "c"]}, 400, "wrong_type", "context"),
        ({"instances": [ASKED], "context": "a"}, 400, "conflicting_fields", "instances"),
        ({"instances": [ASKED], "question": "a"}, 400, "conflicting_fields", "instances"),
        ({"instances": [ASKED], "questions": ["a"]}, 400, "conflicting_fields", "instances"),
        ({"instances": []}, 400, "empty_instances", "instances"),
        ({"instances": ASKED}, 400, "wrong_type", "instances"),
        ({"instances": [ASKED] * (MAX_INSTANCES + 1)}, 413, "too_many_instances", "instances"),
        ({"instances": [ASKED, "Who?"]}, 400, "wrong_type", "instances[1]"),
        ({"instances": [ASKED] * 3 + [{"question": "a"}]}, 400, "missing_field", "instances[3].context"),
        ({"instances": [{"questions": ["a"], "context": "a"}]}, 400, "unknown_field", "instances[0].questions"),
        ({"instances": [ASKED | {"top_k": -1}]}, 400, "out_of_range", "instances[0].top_k"),
        (
            {"instances": [ASKED | {"no_answer_threshold": 2}]},
            400,
            "out_of_range",
            "instances[0].no_answer_threshold",
        ),
    ],
)
def test_a_wrong_request_gets_an_error_that_names_the_field(
    body: Any, status: int, code: str, field: str | None
) -> None:
    with pytest.raises(RequestError) as raised:
        parse(body)
    error = raised.value
    assert (error.status, error.code, error.field) == (status, code, field)
    assert json.loads(json.dumps(error.body())) == {"error": {"code": code, "message": error.message, "field": field}}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("Who?", ['{"question": "…", "context": "…"}', "application/json"]),
        ({"text": "Who?"}, ["'text'", "question, context, questions, instances"]),
        ({"questions": "Who?", "context": "a"}, ["a string", "an array of strings"]),
        ({"instances": [ASKED], "context": "a"}, ["either context or instances"]),
        ({"questions": ["a"] * (MAX_INSTANCES + 1), "context": "a"}, [str(MAX_INSTANCES + 1), str(MAX_INSTANCES)]),
    ],
)
def test_the_message_names_what_to_send(body: Any, words: list[str]) -> None:
    with pytest.raises(RequestError) as raised:
        parse(body)
    assert all(word in raised.value.message for word in words)


NAMES = ["question", "context", "questions", "instances", "top_k", "no_answer_threshold"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=4)
        | st.fixed_dictionaries({"question": inner, "context": inner})
        | st.fixed_dictionaries({"instances": st.lists(inner, max_size=3)})
    ),
)


@given(body=JSON | JSON.map(lambda value: json.dumps(value).encode()))
def test_the_parser_raises_nothing_but_request_errors(body: object) -> None:
    try:
        request = parse(body)
    except RequestError as error:
        assert 400 <= error.status < 500
        json.dumps(error.body())
    else:
        for instance in request.instances:
            assert instance.question.strip() and instance.context.strip() and instance.options.top_k >= 1
            assert instance.options.no_answer_threshold is None or 0 <= instance.options.no_answer_threshold <= 1
