"""Answers of a tiny real model: golden ones, offsets in any Unicode, windows, limits, and neighbours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers.base_model import pad
from handlers.onnx_model import OnnxModel
from handlers.qa_pipeline import QuestionAnsweringPipeline
from handlers.text.packing import Limits
from handlers.text.question_request import parse_question
from tests.tiny_export import SENTENCES
from tests.tiny_qa_export import CONTEXT, DOC_STRIDE, MAX_LENGTH, MAX_QUESTION_LENGTH, QUESTIONS

Request = dict[str, Any]


@pytest.fixture(scope="module")
def pipeline(tiny_qa_export: Path) -> QuestionAnsweringPipeline:
    """In fp32, an answer does not depend on its neighbours."""
    return QuestionAnsweringPipeline.load(tiny_qa_export, model_file="model.onnx", max_windows=8)


def ask(pipeline: QuestionAnsweringPipeline, question: str, context: str, **options: Any) -> dict[str, Any]:
    return pipeline.predict([{"question": question, "context": context, **options}])[0]


def windows_of(pipeline: QuestionAnsweringPipeline, request: Request) -> int:
    return len(pipeline.encode([parse_question(request)]).rows)


def assert_consistent(answer: dict[str, Any], context: str) -> None:
    """What holds for every answer without a threshold."""
    ranking = answer["top_k"]
    for one in [answer, *ranking]:
        assert context[one["start"] : one["end"]] == one["answer"]
        assert 0 <= one["score"] <= 1
    assert 0 <= answer["no_answer_score"] <= 1
    assert sum(one["score"] for one in ranking) + answer["no_answer_score"] <= 1 + 1e-4
    assert [one["score"] for one in ranking] == sorted((one["score"] for one in ranking), reverse=True)
    assert len({one["answer"] for one in ranking}) == len(ranking)
    if ranking:
        assert ranking[0].items() <= answer.items()
    else:
        assert (answer["answer"], answer["score"]) == ("", answer["no_answer_score"])


def assert_alike(answer: dict[str, Any], other: dict[str, Any]) -> None:
    """The same answer, but for the rounding of floating-point sums."""
    assert answer.keys() == other.keys()
    assert [answer[key] for key in ("answer", "start", "end")] == [other[key] for key in ("answer", "start", "end")]
    assert answer["score"] == pytest.approx(other["score"], abs=1e-4)
    assert answer["no_answer_score"] == pytest.approx(other["no_answer_score"], abs=1e-4)


def test_golden_requests_get_their_answers(tiny_qa_export: Path) -> None:
    pipeline = QuestionAnsweringPipeline.load(tiny_qa_export)
    golden = json.loads((tiny_qa_export / "golden.json").read_text(encoding="utf-8"))
    assert [pipeline.predict([pair["request"]])[0] for pair in golden] == [pair["response"] for pair in golden]


def test_an_answer_lists_the_best_spans_first(pipeline: QuestionAnsweringPipeline) -> None:
    answer = ask(pipeline, QUESTIONS[0], CONTEXT, top_k=5)
    assert list(answer) == ["answer", "score", "start", "end", "top_k", "no_answer_score"]
    assert len(answer["top_k"]) == 5
    assert_consistent(answer, CONTEXT)
    assert answer["answer"]


def test_as_many_answers_as_the_model_ranks_at_most(pipeline: QuestionAnsweringPipeline) -> None:
    answer = ask(pipeline, QUESTIONS[0], CONTEXT, top_k=10**9)
    assert_consistent(answer, CONTEXT)
    assert 3 < len(answer["top_k"]) <= pipeline.n_best


def test_the_same_words_at_two_places_are_listed_once(pipeline: QuestionAnsweringPipeline) -> None:
    context = "the fox, the fox, the fox"
    assert_consistent(ask(pipeline, "what is it", context, top_k=20), context)


def test_a_threshold_empties_answers_that_are_less_likely(pipeline: QuestionAnsweringPipeline) -> None:
    free = ask(pipeline, QUESTIONS[2], "hello")
    score = free["no_answer_score"]
    assert 0 < score < 1
    assert ask(pipeline, QUESTIONS[2], "hello", no_answer_threshold=score + 0.01) == free
    empty = {"answer": "", "score": score, "start": 0, "end": 0}
    assert ask(pipeline, QUESTIONS[2], "hello", no_answer_threshold=score - 0.01) == free | empty


def test_the_temperature_of_the_export_changes_the_scores_and_no_answer(
    pipeline: QuestionAnsweringPipeline, tiny_qa_export: Path, tmp_path: Path
) -> None:
    export = shutil.copytree(tiny_qa_export, tmp_path / "export")
    metadata = json.loads((export / "metadata.json").read_text())
    (export / "metadata.json").write_text(json.dumps({**metadata, "temperature": 0.25}))
    sharper = QuestionAnsweringPipeline.load(export, model_file="model.onnx")
    for question in QUESTIONS:
        plain, tempered = (ask(one, question, CONTEXT, top_k=20) for one in (pipeline, sharper))
        assert [one["answer"] for one in tempered["top_k"]] == [one["answer"] for one in plain["top_k"]]
        assert tempered["score"] > plain["score"] + 0.01
        assert_consistent(tempered, CONTEXT)


# Combining marks, emoji of several code points, right to left, line ends, and characters that a tokenizer drops.
PIECES = [
    "e\u0301",
    "👩\u200d🚀",
    "🏳️\u200d🌈",
    "🇦🇺",
    "שָׁלוֹם",
    "مرحبا",
    "\r\n",
    "\0",
    "\ufeff",
    "ﬁ",
    "İ",
    "각",
    "각",
    "漢字",
    "\u200d",
    "x" * 150,
]
CHARACTERS = st.characters(exclude_categories=("Cs",))
WORDS = st.sampled_from([word for sentence in SENTENCES for word in sentence.split()])
TEXTS = st.lists(WORDS | st.sampled_from(PIECES) | st.text(CHARACTERS, max_size=3), min_size=1, max_size=60).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda between: between.join(parts))
)
GOOD_TEXTS = TEXTS.filter(lambda text: not text.isspace() and text != "")


@given(question=GOOD_TEXTS, context=GOOD_TEXTS)
@example(question="what", context="a\u0301\u0323b")
@example(question="what", context="👩\u200d🚀")
@example(question="\u200d", context="\u200d")
@example(question="\0", context="\0")
@example(question="what", context="\r\nhello\r\n")
@settings(deadline=None)
def test_offsets_are_those_of_the_context_as_sent(
    pipeline: QuestionAnsweringPipeline, question: str, context: str
) -> None:
    answer = ask(pipeline, question, context, top_k=20)
    assert_consistent(answer, context)
    json.dumps(answer, allow_nan=False)


def test_combining_marks_stay_with_their_character(pipeline: QuestionAnsweringPipeline) -> None:
    context = "cafe\u0301"
    assert {one["answer"] for one in ask(pipeline, "what", context, top_k=20)["top_k"]} >= {context}
    assert not [one for one in ask(pipeline, "what", context, top_k=20)["top_k"] if one["answer"].endswith("e")]


def test_no_answer_begins_with_a_mark_of_the_character_before(pipeline: QuestionAnsweringPipeline) -> None:
    context = "漢\u20e3"  # two tokens
    assert [one["answer"] for one in ask(pipeline, "what", context, top_k=20)["top_k"]] == [context]


def test_several_questions_get_the_answers_that_each_gets_alone(pipeline: QuestionAnsweringPipeline) -> None:
    [together] = pipeline.predict([{"questions": QUESTIONS, "context": CONTEXT}])
    assert list(together) == ["predictions"]
    for question, answer in zip(QUESTIONS, together["predictions"], strict=True):
        assert_alike(answer, ask(pipeline, question, CONTEXT))


def test_windows_of_all_requests_are_packed_and_come_back_in_order(tiny_qa_export: Path) -> None:
    pipeline = QuestionAnsweringPipeline.load(tiny_qa_export, model_file="model.onnx", limits=Limits(100, 3, 100))
    contexts = [". ".join(SENTENCES[i : i + count]) for i, count in enumerate([1, 9, 2, 5, 1, 3])]
    asked = [{"question": QUESTIONS[i % 3], "context": context} for i, context in enumerate(contexts)]
    assert [windows_of(pipeline, one) for one in asked] == [1, 3, 1, 2, 1, 1]
    first, *middle, last = pipeline.predict([{"instances": asked[:2]}, *asked[2:5], {"instances": asked[5:]}])
    together = [*first["predictions"], *middle, *last["predictions"]]
    for answer, one in zip(together, asked, strict=True):
        assert_alike(answer, pipeline.predict([one])[0])


def test_an_answer_is_found_in_whatever_window_it_stands(pipeline: QuestionAnsweringPipeline) -> None:
    """Over all windows there is one ranking: each window's own best answer cannot beat it."""
    context = ". ".join(SENTENCES)
    whole = ask(pipeline, "what", context, top_k=20)
    assert windows_of(pipeline, {"question": "what", "context": context}) == 3
    starts = [one["start"] for one in whole["top_k"]]
    assert max(starts) - min(starts) > len(context) / 3


def test_logits_are_those_of_one_padded_run_without_the_padding(tiny_qa_export: Path) -> None:
    rows = [[2, *range(4, 4 + length), 3] for length in (9, 1, 5, 20, 3)]
    logits, padded_tokens = OnnxModel(tiny_qa_export / "model.onnx", 1).run_tokens(rows, Limits(22, 2, 22))
    ids, mask = pad(rows)
    session = onnxruntime.InferenceSession(tiny_qa_export / "model.onnx")
    names = ["start_logits", "end_logits"]
    for name, values in zip(names, session.run(names, {"input_ids": ids, "attention_mask": mask}), strict=True):
        assert [len(row) for row in logits[name]] == [len(row) for row in rows]
        for row, expected in zip(logits[name], values, strict=True):
            np.testing.assert_allclose(row, expected[: len(row)], atol=1e-4)
    assert padded_tokens == 2 * 5 + 2 * 11 + 22


@pytest.fixture
def tokenised(pipeline: QuestionAnsweringPipeline, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the tokenizer gets from here on."""
    texts_seen: list[str] = []
    original = pipeline.encoder.tokenise
    monkeypatch.setattr(pipeline.encoder, "tokenise", lambda texts: (texts_seen.extend(texts), original(texts))[1])
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
    assert pipeline.least_rows(parse_question(request)) <= 8 + 1


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
    [whole] = pipeline.encoder.tokenise([text])
    tokens, more = pipeline.encoder.first_tokens(text, most)
    assert (tokens.ids, tokens.offsets) == (whole.ids[:most], whole.offsets[:most])
    assert more == (len(whole.ids) > most)


def test_a_request_counts_for_its_windows_or_for_its_characters(pipeline: QuestionAnsweringPipeline) -> None:
    assert pipeline.least_rows(parse_question({"questions": ["who", "what"], "context": CONTEXT})) == 2
    assert pipeline.least_rows(parse_question({"questions": ["who", "what"], "context": " a" * 2000})) == 2 * 3


def test_a_model_of_another_task_is_refused(tiny_export: Path, tiny_qa_export: Path, tmp_path: Path) -> None:
    export = shutil.copytree(tiny_qa_export, tmp_path / "export")
    shutil.copy(tiny_export / "model_int8.onnx", export)
    with pytest.raises(ValueError, match=r"outputs are \['logits'.*expected \['end_logits', 'start_logits'\]"):
        QuestionAnsweringPipeline.load(export)
