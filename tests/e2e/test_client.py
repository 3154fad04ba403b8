"""The client against the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archives.client import Client
from archives.client_errors import BadRequest, ModelNotFound, Unauthorized
from tests.support.served import MODEL, QA, Served
from tests.support.tiny_qa_export import CONTEXT, QUESTIONS


@pytest.fixture
def client(served: Served, servers: Path) -> Iterator[Client]:
    with Client(served.server.url, model=MODEL, servers=servers) as client:
        yield client


def test_it_finds_the_local_key_and_classifies(client: Client) -> None:
    answer = client.predict("write a python function")
    assert client.classify("write a python function") == answer["label"]
    assert client.health()


def test_a_batch_longer_than_one_request_comes_back_in_order(client: Client) -> None:
    texts = [f"summarize report {index}" for index in range(1500)]
    answers = client.predict_batch(texts)
    assert len(answers) == 1500
    assert answers[1400]["label"] == client.predict(texts[1400])["label"]
    assert client.predict_batch([]) == []


def test_a_wrong_instance_is_counted_over_the_whole_batch(client: Client) -> None:
    texts: list[str] = ["hello"] * 1500
    texts[1300] = ""
    with pytest.raises(BadRequest) as caught:
        client.predict_batch(texts)
    assert caught.value.field == "instances[1300].text"
    assert caught.value.code


def test_each_refusal_has_its_exception(served: Served, servers: Path, client: Client) -> None:
    with pytest.raises(BadRequest) as caught:
        client.predict({"text": "hello", "colour": "red"})
    assert caught.value.field == "colour"
    with Client(served.server.url, "wrong", model=MODEL) as stranger, pytest.raises(Unauthorized):
        stranger.predict("hello")
    with Client(served.server.url, model="nobody", servers=servers) as lost:
        assert not lost.health()
        with pytest.raises(ModelNotFound):
            lost.predict("hello")
    with Client(served.server.url, model=MODEL, version="1.0", servers=servers) as versioned:
        assert versioned.classify("hello") == client.classify("hello")


def test_questions_are_answered_one_by_one_and_in_batches_of_any_size(served: Served, servers: Path) -> None:
    """700 questions of two windows each are more than the server takes in one request."""
    with Client(served.server.url, model=QA, servers=servers, timeout=60) as client:
        assert client.health()
        assert client.answer(QUESTIONS[0], CONTEXT) in CONTEXT
        answers = client.predict_batch({"question": QUESTIONS[0], "context": CONTEXT} for _ in range(700))
        assert [answer["answer"] in CONTEXT for answer in answers] == [True] * 700
        with pytest.raises(BadRequest) as caught:
            client.predict("who?")
        assert caught.value.field == "text"
