"""Test requests with texts: every form in which TorchServe passes them on, and every mistake."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.pipelines.classification import ClassificationPipeline, TextInstance
from handlers.request import MAX_INSTANCES, Request, RequestError, read_payload

DEEP = b'{"text": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"


def parse(row: dict[str, Any]) -> Request[TextInstance]:
    return ClassificationPipeline.parse(read_payload(row))


def single(text: str, top_k: int = 3) -> Request[TextInstance]:
    return Request([TextInstance(text, top_k)], many=False)


@pytest.mark.parametrize(
    "body",
    [
        {"text": "hello"},
        "hello",
        b'{"text": "hello"}',
        bytearray(b'{"text": "hello"}'),
        b'\xef\xbb\xbf{"text": "hello"}',
        b'"hello"',
        b'{"text": "first", "text": "hello"}',
    ],
)
@pytest.mark.parametrize("key", ["body", "data"])
def test_a_text_arrives_in_many_shapes(body: object, key: str) -> None:
    assert parse({key: body}) == single("hello")


def test_instances_inherit_the_top_k_of_the_request_unless_they_set_it() -> None:
    body = {"top_k": 5, "instances": [{"text": "a"}, {"text": "b", "top_k": 1}]}
    assert parse({"body": body}) == Request([TextInstance("a", 5), TextInstance("b", 1)], many=True)


@pytest.mark.parametrize(
    ("row", "status", "code", "field"),
    [
        ({}, 400, "empty_body", None),
        ({"body": b""}, 400, "empty_body", None),
        ({"body": b" \n"}, 400, "empty_body", None),
        ({"body": b"{"}, 400, "invalid_json", None),
        ({"body": b"hello"}, 400, "invalid_json", None),
        ({"body": b'{"text": "\xff"}'}, 400, "invalid_utf8", None),
        ({"body": DEEP}, 400, "invalid_json", None),
        ({"body": b'{"top_k": ' + b"9" * 5000 + b"}"}, 400, "invalid_json", None),
        ({"body": None}, 400, "wrong_type", None),
        ({"body": b"null"}, 400, "wrong_type", None),
        ({"body": [{"text": "hello"}]}, 400, "wrong_type", None),
        ({"body": 7}, 400, "wrong_type", None),
        ({"body": True}, 400, "wrong_type", None),
        ({'{"text": "hello"}': b""}, 415, "unsupported_media_type", None),
        ({"text": b"hello"}, 415, "unsupported_media_type", None),
        ({"body": b'{"text": "hello"}', "top_k": b"2"}, 400, "unknown_field", "top_k"),
        ({"body": {}}, 400, "missing_field", "text"),
        ({"body": ""}, 400, "empty_text", "text"),
        ({"body": {"text": " \t\n\u3000"}}, 400, "empty_text", "text"),
        ({"body": {"text": 3}}, 400, "wrong_type", "text"),
        ({"body": {"text": None}}, 400, "wrong_type", "text"),
        ({"body": b'{"text": NaN}'}, 400, "wrong_type", "text"),
        ({"body": b'{"text": "\\ud800"}'}, 400, "invalid_text", "text"),
        ({"body": {"text": "a", "Text": "b"}}, 400, "unknown_field", "Text"),
        ({"body": b'{"\\ud800": 1}'}, 400, "unknown_field", "\ud800"),
        ({"body": {"text": "a", "top_k": "3"}}, 400, "wrong_type", "top_k"),
        ({"body": {"text": "a", "top_k": True}}, 400, "wrong_type", "top_k"),
        ({"body": {"text": "a", "top_k": 2.0}}, 400, "wrong_type", "top_k"),
        ({"body": {"text": "a", "top_k": None}}, 400, "wrong_type", "top_k"),
        ({"body": b'{"text": "a", "top_k": 1e999}'}, 400, "wrong_type", "top_k"),
        ({"body": b'{"text": "a", "top_k": NaN}'}, 400, "wrong_type", "top_k"),
        ({"body": {"text": "a", "top_k": 0}}, 400, "out_of_range", "top_k"),
        ({"body": {"text": "a", "instances": []}}, 400, "conflicting_fields", "instances"),
        ({"body": {"instances": []}}, 400, "empty_instances", "instances"),
        ({"body": {"instances": {"text": "a"}}}, 400, "wrong_type", "instances"),
        ({"body": {"instances": [{"text": "a"}] * 10_000}}, 413, "too_many_instances", "instances"),
        ({"body": {"instances": [{"text": "a"}, "b"]}}, 400, "wrong_type", "instances[1]"),
        ({"body": {"instances": [{"text": "a"}] * 3 + [{"text": ""}]}}, 400, "empty_text", "instances[3].text"),
        ({"body": {"instances": [{"text": "a", "k": 1}]}}, 400, "unknown_field", "instances[0].k"),
        ({"body": {"instances": [{"text": "a", "top_k": -1}]}}, 400, "out_of_range", "instances[0].top_k"),
    ],
)
def test_a_wrong_request_gets_an_error_that_names_the_field(
    row: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    with pytest.raises(RequestError) as raised:
        parse(row)
    error = raised.value
    assert (error.status, error.code, error.field) == (status, code, field)
    assert json.loads(json.dumps(error.body())) == {"error": {"code": code, "message": error.message, "field": field}}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"body": {"text": "a", "txt": "b"}}, ["'txt'", "text, instances, top_k"]),
        ({"body": {"instances": [{"text": "a"}] * (MAX_INSTANCES + 1)}}, [str(MAX_INSTANCES + 1), str(MAX_INSTANCES)]),
        ({'{"text": "a+b"}': b""}, ["Content-Type: application/json"]),
        ({"body": b"{"}, ["line 1, column 2", "Content-Type: application/json"]),
        ({"body": [1]}, ["an array"]),
    ],
)
def test_the_message_names_the_limit_or_the_remedy(row: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(RequestError) as raised:
        parse(row)
    assert all(word in raised.value.message for word in words)


def test_a_long_field_name_is_not_echoed_whole() -> None:
    with pytest.raises(RequestError) as raised:
        parse({"body": {"x" * 1_000_000: 1}})
    assert len(raised.value.message) < 200
    assert len(raised.value.field or "") < 200


def test_the_largest_list_of_instances_is_accepted() -> None:
    assert len(parse({"body": {"instances": [{"text": "a"}] * MAX_INSTANCES}}).instances) == MAX_INSTANCES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "top_k", "instances"]) | st.text(max_size=5), inner, max_size=4)
    ),
)


@given(
    body=JSON | st.binary() | JSON.map(lambda value: json.dumps(value).encode()),
    key=st.sampled_from(["body", "data", "x"]),
)
def test_the_parser_raises_nothing_but_request_errors(body: object, key: str) -> None:
    try:
        request = parse({key: body})
    except RequestError as error:
        assert 400 <= error.status < 500
        json.dumps(error.body())
    else:
        assert all(instance.text.strip() and instance.top_k >= 1 for instance in request.instances)
