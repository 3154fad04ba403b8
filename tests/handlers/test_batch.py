"""Test batches with TorchServe's real context and metrics: good and wrong rows, failures, logs."""

from __future__ import annotations

import logging
import re
import timeit
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from ts.context import Context

import handlers.batch
from handlers.batch import BatchService
from handlers.model import Logits
from handlers.pipelines.base import EncodedRequest
from handlers.pipelines.classification import ClassificationPipeline, EncodedText, TextInstance
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from handlers.request import RequestError
from tests.support.tiny_qa_export import CONTEXT, QUESTIONS
from tests.support.torchserve import METRICS_YAML, ask


def test_a_wrong_row_gets_its_own_error_and_its_neighbours_their_answers(
    service: BatchService, context: Context, pipeline: ClassificationPipeline
) -> None:
    first, second = {"text": "hello"}, {"instances": [{"text": "how are you"}, {"text": "fox"}]}
    answers = ask(service, context, first, b"{", {"text": 3}, second, {"instances": [{"text": "a"}] * 10_000})
    assert [status for status, _ in answers] == [200, 400, 400, 200, 413]
    assert [answers[0][1], answers[3][1]] == pipeline.predict([first, second])
    assert answers[2][1]["error"]["field"] == "text"
    assert context.get_response_status(1)[1] == "Bad Request"


def test_a_batch_of_wrong_rows_only(service: BatchService, context: Context) -> None:
    assert [status for status, _ in ask(service, context, b"", None)] == [400, 400]


def test_the_largest_requests_of_a_batch_of_too_many_rows_are_refused(
    pipeline: ClassificationPipeline, context: Context
) -> None:
    service = BatchService(pipeline, context, 5)
    four, three = ({"instances": [{"text": "hello"}] * rows} for rows in (4, 3))
    assert [status for status, _ in ask(service, context, four, "a", three, "b")] == [429, 200, 200, 200]
    assert [status for status, _ in ask(service, context, four)] == [200]


def test_a_request_of_more_rows_than_a_batch_may_have_is_refused(
    pipeline: ClassificationPipeline, context: Context
) -> None:
    nine = {"instances": [{"text": "hello"}] * 9}
    (refused, body), (status, _) = ask(BatchService(pipeline, context, 5), context, nine, "hello")
    assert (refused, status) == (413, 200)
    assert "more than 5 rows for the model" in body["error"]["message"]


def test_the_longest_requests_of_a_batch_of_too_many_tokens_are_refused(
    pipeline: ClassificationPipeline, context: Context
) -> None:
    service = BatchService(pipeline, context, 2048, max_batch_tokens=26)
    long = "how are you " * 100
    answers = ask(service, context, {"instances": [{"text": long}] * 2}, "hello", long, "fox")
    assert [status for status, _ in answers] == [413, 200, 429, 200]
    assert answers[0][1]["error"]["code"] == "too_many_tokens"
    assert "more than 26 tokens" in answers[0][1]["error"]["message"]
    assert [status for status, _ in ask(service, context, long)] == [200]


@pytest.mark.parametrize(("seconds", "tokens"), [(30, 30 / 0.25 * 10 * 24), (0.001, 24)])
def test_a_batch_may_have_as_many_tokens_as_the_fastest_run_allows(
    seconds: float, tokens: int, pipeline: ClassificationPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fill micro-batches with the longest rows, 10 of 24 tokens in a budget of 256; a single row is always answered."""
    monkeypatch.setattr(timeit, "repeat", lambda run, **_: [0.5, 0.25, 0.4])
    assert pipeline.measure_capacity(seconds, 24) == tokens


def test_an_answer_that_torchserve_would_not_take_is_refused(
    service: BatchService, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers.batch, "MAX_ANSWER_BYTES", 500)
    (refused, body), (status, _) = ask(service, context, {"instances": [{"text": "hello"}] * 9}, "hello")
    assert (refused, status) == (413, 200)
    assert body["error"]["code"] == "answer_too_large"


def test_the_limit_of_an_answer_is_below_the_servers() -> None:
    settings = (METRICS_YAML.parent / "config.properties").read_text()
    [limit] = re.findall(r"^max_response_size=(\d+)$", settings, re.MULTILINE)
    assert int(limit) > handlers.batch.MAX_ANSWER_BYTES


def test_a_megabyte_is_answered_and_marked(service: BatchService, context: Context) -> None:
    [(status, answer)] = ask(service, context, {"text": "hello " * 175_000})
    assert status == 200
    assert answer["truncated"] is True


ASKED = {"question": QUESTIONS[0], "context": CONTEXT}  # two windows


def test_wrong_questions_never_harm_their_neighbours(qa: QuestionAnsweringPipeline, context: Context) -> None:
    wrong = [{"question": "who"}, b"{", "who", {"instances": [ASKED, {"question": "", "context": "a"}]}]
    answers = ask(BatchService(qa, context, 100), context, wrong[0], ASKED, *wrong[1:], {"instances": [ASKED]})
    assert [status for status, _ in answers] == [400, 200, 400, 400, 400, 200]
    assert answers[4][1]["error"]["field"] == "instances[1].question"
    [alone] = qa.predict([ASKED])
    for answer in (answers[1][1], answers[5][1]["predictions"][0]):
        assert (answer["answer"], answer["start"]) == (alone["answer"], alone["start"])
        assert answer["score"] == pytest.approx(alone["score"], abs=1e-4)


def test_questions_count_by_their_windows(qa: QuestionAnsweringPipeline, context: Context) -> None:
    service = BatchService(qa, context, 5)
    twice, thrice = ({"questions": QUESTIONS[:count], "context": CONTEXT} for count in (2, 3))
    assert [status for status, _ in ask(service, context, twice, ASKED)] == [429, 200]
    assert [status for status, _ in ask(service, context, thrice, ASKED)] == [413, 200]
    assert [status for status, _ in ask(service, context, twice)] == [200]
    assert [status for status, _ in ask(service, context, thrice)] == [413]


def test_contexts_too_long_to_be_tokenized_in_time_are_refused_before_that(
    qa: QuestionAnsweringPipeline, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qa.tokenizer, "tokenize", lambda texts: pytest.fail("tokenized"))
    many = {"questions": ["who"] * 1000, "context": "a " * 500_000}
    [(status, body)] = ask(BatchService(qa, context, 1024), context, many)
    assert (status, body["error"]["code"]) == (413, "too_many_rows")


def test_dense_contexts_are_refused_early_and_cost_nobody_an_answer(
    qa: QuestionAnsweringPipeline, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    original = qa.tokenizer.tokenize
    monkeypatch.setattr(qa.tokenizer, "tokenize", lambda texts: (seen.extend(texts), original(texts))[1])
    length = 31 * qa.tokenizer.max_length  # this would be one row if a token had 32 characters
    dense = {"instances": [{"question": "who", "context": f"{i}" + "." * length} for i in range(5)]}
    (status, answer), *refused = ask(BatchService(qa, context, 160), context, ASKED, *[dense] * 9)
    assert (status, answer["answer"] in CONTEXT) == (200, True)
    assert {status for status, _ in refused} == {413, 429}
    room = qa.tokenizer.max_length - qa.tokenizer.doc_stride
    assert sum(map(len, seen)) < 3 * 160 * room + 3 * length


def test_answers_that_would_fill_the_memory_are_refused_before_they_do(
    qa: QuestionAnsweringPipeline, context: Context
) -> None:
    """Send words of one token each, whatever their length, and questions that list their context twenty times over."""
    words = " ".join(letter * 2040 for letter in "𐐨𐐩𐐪𐐫𐐬𐐭")
    many = {"questions": ["who wrote it?"] * 400, "context": words, "top_k": 20}
    service = BatchService(qa, context, 4000)
    tracemalloc.start()
    (refused, body), (status, _) = ask(service, context, many, ASKED)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (refused, body["error"]["code"], status) == (413, "answer_too_large", 200)
    assert peak < 100e6
    assert [status for status, _ in ask(service, context, many | {"questions": ["who wrote it?"]})] == [200]


class NotANumber(ClassificationPipeline):
    """Return NaN as the score of every label of a request for two labels."""

    def decode(self, requests: Sequence[EncodedRequest], logits: Logits) -> Iterator[dict[str, Any] | RequestError]:
        for i, request in enumerate(requests):
            if request.instances[0].top_k == 2:
                logits["logits"][i] = float("nan")
        return super().decode(requests, logits)


@pytest.mark.filterwarnings("ignore:invalid value")  # numpy warns of NaN
def test_scores_that_are_not_numbers_never_become_json(pipeline: ClassificationPipeline, context: Context) -> None:
    service = BatchService(NotANumber(**vars(pipeline)), context, 2048)
    answers = ask(service, context, "hello", {"text": "hello", "top_k": 2})
    assert [status for status, _ in answers] == [200, 500]


class Poisoned(ClassificationPipeline):
    """Fail at texts with `poison`, as a library might: with the text in the error."""

    def encode_instances(self, instances: Sequence[TextInstance]) -> list[EncodedText]:
        for instance in instances:
            if "poison" in instance.text:
                raise KeyError(instance.text)
        return super().encode_instances(instances)


def test_a_failure_affects_only_its_request_and_is_logged_without_the_text(
    pipeline: ClassificationPipeline, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answers = ask(BatchService(Poisoned(**vars(pipeline)), context, 2048), context, "hello", "poison ivy", "fox")
    assert [status for status, _ in answers] == [200, 500, 200]
    assert answers[1][1]["error"]["code"] == "inference_failed"
    assert [answers[0][1], answers[2][1]] == [pipeline.predict([text])[0] for text in ("hello", "fox")]
    errors = "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR)
    assert "KeyError" in errors
    assert "in encode" in errors
    assert "ivy" not in caplog.text


def test_texts_of_good_and_wrong_requests_are_not_logged(
    service: BatchService, context: Context, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        ask(service, context, "secret words", b'{"text": "secret words"', {"secret": 1}, {"text": ["secret"]})
    assert "secret" not in caplog.text + "".join(capfd.readouterr())
