"""Test answers of a tiny real model: golden requests, offsets in any Unicode, windows, batches, and long texts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers.model import Limits
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from tests.support.asked import GOOD_TEXTS, ask, assert_consistent, windows_of
from tests.support.tiny_export import SENTENCES
from tests.support.tiny_qa_export import CONTEXT, DOC_STRIDE, MAX_LENGTH, MAX_QUESTION_LENGTH, QUESTIONS


def assert_alike(answer: dict[str, Any], other: dict[str, Any]) -> None:
    """Assert that two answers are equal but for the rounding of floating-point sums."""
    assert answer.keys() == other.keys()
    assert [answer[key] for key in ("answer", "start", "end")] == [other[key] for key in ("answer", "start", "end")]
    assert answer["score"] == pytest.approx(other["score"], abs=1e-4)
    assert answer["no_answer_score"] == pytest.approx(other["no_answer_score"], abs=1e-4)


def test_golden_requests_get_their_answers(tiny_qa_export: Path) -> None:
    qa = QuestionAnsweringPipeline.load(tiny_qa_export)
    golden = json.loads((tiny_qa_export / "golden.json").read_text(encoding="utf-8"))
    assert [qa.predict([pair["request"]])[0] for pair in golden] == [pair["response"] for pair in golden]


def test_an_answer_lists_the_best_spans_first(qa: QuestionAnsweringPipeline) -> None:
    answer = ask(qa, QUESTIONS[0], CONTEXT, top_k=5)
    assert list(answer) == ["answer", "score", "start", "end", "top_k", "no_answer_score"]
    assert len(answer["top_k"]) == 5
    assert_consistent(answer, CONTEXT)
    assert answer["answer"]


def test_no_more_answers_are_listed_than_the_model_ranks(qa: QuestionAnsweringPipeline) -> None:
    answer = ask(qa, QUESTIONS[0], CONTEXT, top_k=10**9)
    assert_consistent(answer, CONTEXT)
    assert 3 < len(answer["top_k"]) <= qa.n_best


def test_the_same_words_at_two_places_are_listed_once(qa: QuestionAnsweringPipeline) -> None:
    context = "the fox, the fox, the fox"
    assert_consistent(ask(qa, "what is it", context, top_k=20), context)


def test_a_threshold_empties_answers_that_are_less_likely(qa: QuestionAnsweringPipeline) -> None:
    free = ask(qa, QUESTIONS[2], "hello")
    score = free["no_answer_score"]
    assert 0 < score < 1
    assert ask(qa, QUESTIONS[2], "hello", no_answer_threshold=score + 0.01) == free
    empty = {"answer": "", "score": score, "start": 0, "end": 0}
    assert ask(qa, QUESTIONS[2], "hello", no_answer_threshold=score - 0.01) == free | empty


def test_the_temperature_of_the_export_changes_the_scores_and_no_answer(
    qa: QuestionAnsweringPipeline, tiny_qa_export: Path, tmp_path: Path
) -> None:
    export = shutil.copytree(tiny_qa_export, tmp_path / "export")
    metadata = json.loads((export / "metadata.json").read_text())
    (export / "metadata.json").write_text(json.dumps({**metadata, "temperature": 0.25}))
    sharper = QuestionAnsweringPipeline.load(export, model_file="model.onnx")
    for question in QUESTIONS:
        plain, tempered = (ask(one, question, CONTEXT, top_k=20) for one in (qa, sharper))
        assert [one["answer"] for one in tempered["top_k"]] == [one["answer"] for one in plain["top_k"]]
        assert tempered["score"] > plain["score"] + 0.01
        assert_consistent(tempered, CONTEXT)


@given(question=GOOD_TEXTS, context=GOOD_TEXTS)
@example(question="what", context="a\u0301\u0323b")
@example(question="what", context="👩\u200d🚀")
@example(question="\u200d", context="\u200d")
@example(question="\0", context="\0")
@example(question="what", context="\r\nhello\r\n")
@settings(deadline=None)
def test_offsets_are_those_of_the_context_as_sent(qa: QuestionAnsweringPipeline, question: str, context: str) -> None:
    answer = ask(qa, question, context, top_k=20)
    assert_consistent(answer, context)
    json.dumps(answer, allow_nan=False)


def test_combining_marks_stay_with_their_character(qa: QuestionAnsweringPipeline) -> None:
    context = "cafe\u0301"
    assert {one["answer"] for one in ask(qa, "what", context, top_k=20)["top_k"]} >= {context}
    assert not [one for one in ask(qa, "what", context, top_k=20)["top_k"] if one["answer"].endswith("e")]


def test_no_answer_begins_with_a_mark_of_the_character_before(qa: QuestionAnsweringPipeline) -> None:
    context = "漢\u20e3"  # two tokens
    assert [one["answer"] for one in ask(qa, "what", context, top_k=20)["top_k"]] == [context]


def test_several_questions_get_the_same_answers_as_one_by_one(qa: QuestionAnsweringPipeline) -> None:
    [together] = qa.predict([{"questions": QUESTIONS, "context": CONTEXT}])
    assert list(together) == ["predictions"]
    for question, answer in zip(QUESTIONS, together["predictions"], strict=True):
        assert_alike(answer, ask(qa, question, CONTEXT))


def test_windows_of_all_requests_are_packed_and_come_back_in_order(tiny_qa_export: Path) -> None:
    qa = QuestionAnsweringPipeline.load(tiny_qa_export, model_file="model.onnx", limits=Limits(100, 3, 100))
    contexts = [". ".join(SENTENCES[i : i + count]) for i, count in enumerate([1, 9, 2, 5, 1, 3])]
    asked = [{"question": QUESTIONS[i % 3], "context": context} for i, context in enumerate(contexts)]
    assert [windows_of(qa, one) for one in asked] == [1, 3, 1, 2, 1, 1]
    first, *middle, last = qa.predict([{"instances": asked[:2]}, *asked[2:5], {"instances": asked[5:]}])
    together = [*first["predictions"], *middle, *last["predictions"]]
    for answer, one in zip(together, asked, strict=True):
        assert_alike(answer, qa.predict([one])[0])


def test_the_best_answers_of_all_windows_are_ranked_together(qa: QuestionAnsweringPipeline) -> None:
    """Compare with the best answer of each window, which cannot beat the ranking over all windows."""
    context = ". ".join(SENTENCES)
    whole = ask(qa, "what", context, top_k=20)
    assert windows_of(qa, {"question": "what", "context": context}) == 3
    starts = [one["start"] for one in whole["top_k"]]
    assert max(starts) - min(starts) > len(context) / 3


def test_a_model_of_another_task_is_refused(tiny_export: Path, tiny_qa_export: Path, tmp_path: Path) -> None:
    export = shutil.copytree(tiny_qa_export, tmp_path / "export")
    shutil.copy(tiny_export / "model_int8.onnx", export)
    with pytest.raises(ValueError, match=r"outputs are \['logits'.*expected \['end_logits', 'start_logits'\]"):
        QuestionAnsweringPipeline.load(export)


@pytest.fixture(scope="module")
def limited(tiny_qa_export: Path) -> QuestionAnsweringPipeline:
    """Load fp32, where an answer does not depend on its neighbours."""
    return QuestionAnsweringPipeline.load(tiny_qa_export, model_file="model.onnx", max_windows=8)


@pytest.fixture
def tokenized(limited: QuestionAnsweringPipeline, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the texts that the tokenizer gets."""
    texts_seen: list[str] = []
    original = limited.tokenizer.tokenize
    monkeypatch.setattr(limited.tokenizer, "tokenize", lambda texts: (texts_seen.extend(texts), original(texts))[1])
    return texts_seen


def test_a_text_is_tokenized_once_however_often_a_request_repeats_it(
    limited: QuestionAnsweringPipeline, tokenized: list[str]
) -> None:
    one = {"question": "who", "context": "the fox"}
    limited.predict([{"questions": ["who", "what"], "context": "the fox"}])
    assert sorted(tokenized) == ["the fox", "what", "who"]
    limited.predict([{"instances": [one, one]}])
    assert sorted(tokenized[3:]) == ["the fox", "who"]


def room(question_tokens: int) -> int:
    return MAX_LENGTH - 3 - question_tokens


@pytest.mark.parametrize("question_tokens", [1, MAX_QUESTION_LENGTH])
def test_a_context_of_more_windows_than_allowed_is_cut_and_the_answer_says_so(
    limited: QuestionAnsweringPipeline, question_tokens: int
) -> None:
    question = " ".join(["what"] * question_tokens)
    fitting = room(question_tokens) + 7 * (room(question_tokens) - DOC_STRIDE)
    fits, more = ({"question": question, "context": "fox " * count} for count in (fitting, fitting + 1))
    assert [windows_of(limited, one) for one in (fits, more)] == [8, 8]
    assert "truncated" not in limited.predict([fits])[0]
    assert limited.predict([more])[0]["truncated"] is True


def test_a_question_that_is_too_long_is_cut_and_the_answer_says_so(limited: QuestionAnsweringPipeline) -> None:
    assert "truncated" not in ask(limited, "what " * MAX_QUESTION_LENGTH, "the fox")
    assert ask(limited, "what " * (MAX_QUESTION_LENGTH + 1), "the fox")["truncated"] is True


@pytest.mark.parametrize(
    "unit", ["hello world. ", "x", "漢", "👩\u200d🚀", "a\u0301", "a" + "\u0301" * 1000, "hello" + " " * 1000]
)
def test_a_megabyte_costs_no_more_than_the_limit_of_windows(limited: QuestionAnsweringPipeline, unit: str) -> None:
    context = unit * (1_000_000 // len(unit))
    answer = ask(limited, "what", context)
    assert_consistent(answer, context)
    assert answer["truncated"] is True
    request = {"question": "what", "context": context}
    assert windows_of(limited, request) <= 8
    assert limited.estimate_rows(limited.parse(request)) <= 8 + 1


def test_an_answer_has_a_limited_number_of_combining_marks(limited: QuestionAnsweringPipeline) -> None:
    ranking = ask(limited, "what", "cafe" + "\u0301" * 1_000_000, top_k=20)["top_k"]
    assert max(len(one["answer"]) for one in ranking) == len("cafe") + 32


def test_only_a_part_of_a_megabyte_is_tokenized(limited: QuestionAnsweringPipeline, tokenized: list[str]) -> None:
    ask(limited, "what " * 200_000, "x" * 1_000_000)
    question, *context = (len(text) for text in tokenized)
    assert question <= 8 * MAX_QUESTION_LENGTH
    assert sum(context) == 32 * limited.max_context_tokens


def test_hardly_more_of_a_dense_megabyte_is_tokenized_than_is_used(
    limited: QuestionAnsweringPipeline, tokenized: list[str]
) -> None:
    ask(limited, "what", " " * (10 * limited.max_context_tokens) + "." * 1_000_000)
    dense = sum(text.count(".") for text in tokenized)
    assert limited.max_context_tokens < dense < 10 * limited.max_context_tokens


@given(
    st.lists(GOOD_TEXTS | st.text("ж", min_size=1, max_size=90), min_size=1, max_size=20).map(" ".join),
    st.integers(20, 60),
)
@example(text=" ".join(["ж" * 30] * 12), limit=20)
@settings(deadline=None)
def test_a_text_in_pieces_has_the_tokens_of_the_whole(
    limited: QuestionAnsweringPipeline, text: str, limit: int
) -> None:
    text = text.replace("x" * 150, "x")  # no word is as long as a piece
    [whole] = limited.tokenizer.tokenize([text])
    tokens, more = limited.tokenizer.first_tokens(text, limit)
    assert (tokens.ids, tokens.offsets) == (whole.ids[:limit], whole.offsets[:limit])
    assert more == (len(whole.ids) > limit)


def test_a_request_counts_for_its_windows_or_for_its_characters(limited: QuestionAnsweringPipeline) -> None:
    assert limited.estimate_rows(limited.parse({"questions": ["who", "what"], "context": CONTEXT})) == 2
    assert limited.estimate_rows(limited.parse({"questions": ["who", "what"], "context": " a" * 2000})) == 2 * 3
