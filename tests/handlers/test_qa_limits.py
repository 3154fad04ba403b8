"""Contexts and questions that are too long, and what a megabyte may cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from tests.support.asked import GOOD_TEXTS, ask, assert_consistent, windows_of
from tests.support.tiny_qa_export import CONTEXT, DOC_STRIDE, MAX_LENGTH, MAX_QUESTION_LENGTH


@pytest.fixture(scope="module")
def pipeline(tiny_qa_export: Path) -> QuestionAnsweringPipeline:
    """In fp32, an answer does not depend on its neighbours."""
    return QuestionAnsweringPipeline.load(tiny_qa_export, model_file="model.onnx", max_windows=8)


@pytest.fixture
def tokenised(pipeline: QuestionAnsweringPipeline, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the tokenizer gets from here on."""
    texts_seen: list[str] = []
    original = pipeline.tokenizer.tokenize
    monkeypatch.setattr(pipeline.tokenizer, "tokenize", lambda texts: (texts_seen.extend(texts), original(texts))[1])
    return texts_seen


def test_a_text_is_tokenised_once_however_often_it_stands_in_a_request(
    pipeline: QuestionAnsweringPipeline, tokenised: list[str]
) -> None:
    one = {"question": "who", "context": "the fox"}
    pipeline.predict([{"questions": ["who", "what"], "context": "the fox"}])
    assert sorted(tokenised) == ["the fox", "what", "who"]
    pipeline.predict([{"instances": [one, one]}])
    assert sorted(tokenised[3:]) == ["the fox", "who"]


def room(question_tokens: int) -> int:
    return MAX_LENGTH - 3 - question_tokens


@pytest.mark.parametrize("question_tokens", [1, MAX_QUESTION_LENGTH])
def test_a_context_of_more_windows_than_allowed_is_cut_and_the_answer_says_so(
    pipeline: QuestionAnsweringPipeline, question_tokens: int
) -> None:
    question = " ".join(["what"] * question_tokens)
    held = room(question_tokens) + 7 * (room(question_tokens) - DOC_STRIDE)
    fits, more = ({"question": question, "context": "fox " * count} for count in (held, held + 1))
    assert [windows_of(pipeline, one) for one in (fits, more)] == [8, 8]
    assert "truncated" not in pipeline.predict([fits])[0]
    assert pipeline.predict([more])[0]["truncated"] is True


def test_a_question_that_is_too_long_is_cut_and_the_answer_says_so(pipeline: QuestionAnsweringPipeline) -> None:
    assert "truncated" not in ask(pipeline, "what " * MAX_QUESTION_LENGTH, "the fox")
    assert ask(pipeline, "what " * (MAX_QUESTION_LENGTH + 1), "the fox")["truncated"] is True


@pytest.mark.parametrize(
    "unit", ["hello world. ", "x", "漢", "👩\u200d🚀", "a\u0301", "a" + "\u0301" * 1000, "hello" + " " * 1000]
)
def test_a_megabyte_costs_no_more_than_the_limit_of_windows(pipeline: QuestionAnsweringPipeline, unit: str) -> None:
    context = unit * (1_000_000 // len(unit))
    answer = ask(pipeline, "what", context)
    assert_consistent(answer, context)
    assert answer["truncated"] is True
    request = {"question": "what", "context": context}
    assert windows_of(pipeline, request) <= 8
    assert pipeline.estimate_rows(pipeline.parse(request)) <= 8 + 1


def test_of_a_flood_of_marks_an_answer_keeps_few(pipeline: QuestionAnsweringPipeline) -> None:
    ranking = ask(pipeline, "what", "cafe" + "\u0301" * 1_000_000, top_k=20)["top_k"]
    assert max(len(one["answer"]) for one in ranking) == len("cafe") + 32


def test_of_a_megabyte_only_a_part_is_tokenised(pipeline: QuestionAnsweringPipeline, tokenised: list[str]) -> None:
    ask(pipeline, "what " * 200_000, "x" * 1_000_000)
    question, *context = (len(text) for text in tokenised)
    assert question <= 8 * MAX_QUESTION_LENGTH
    assert sum(context) == 32 * pipeline.max_context_tokens


def test_of_a_dense_megabyte_little_more_is_tokenised_than_is_kept(
    pipeline: QuestionAnsweringPipeline, tokenised: list[str]
) -> None:
    ask(pipeline, "what", " " * (10 * pipeline.max_context_tokens) + "." * 1_000_000)
    dense = sum(text.count(".") for text in tokenised)
    assert pipeline.max_context_tokens < dense < 10 * pipeline.max_context_tokens


@given(
    st.lists(GOOD_TEXTS | st.text("ж", min_size=1, max_size=90), min_size=1, max_size=20).map(" ".join),
    st.integers(20, 60),
)
@example(text=" ".join(["ж" * 30] * 12), most=20)
@settings(deadline=None)
def test_a_text_in_pieces_has_the_tokens_of_the_whole(
    pipeline: QuestionAnsweringPipeline, text: str, most: int
) -> None:
    text = text.replace("x" * 150, "x")  # no word is as long as a piece
    [whole] = pipeline.tokenizer.tokenize([text])
    tokens, more = pipeline.tokenizer.first_tokens(text, most)
    assert (tokens.ids, tokens.offsets) == (whole.ids[:most], whole.offsets[:most])
    assert more == (len(whole.ids) > most)


def test_a_request_counts_for_its_windows_or_for_its_characters(pipeline: QuestionAnsweringPipeline) -> None:
    assert pipeline.estimate_rows(pipeline.parse({"questions": ["who", "what"], "context": CONTEXT})) == 2
    assert pipeline.estimate_rows(pipeline.parse({"questions": ["who", "what"], "context": " a" * 2000})) == 2 * 3
