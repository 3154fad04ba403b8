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

from handlers.model import Limits, OnnxModel, pad
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from tests.support.asked import GOOD_TEXTS, ask, assert_consistent, windows_of
from tests.support.tiny_export import SENTENCES
from tests.support.tiny_qa_export import CONTEXT, QUESTIONS


def assert_alike(answer: dict[str, Any], other: dict[str, Any]) -> None:
    """The same answer, but for the rounding of floating-point sums."""
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


def test_as_many_answers_as_the_model_ranks_at_most(qa: QuestionAnsweringPipeline) -> None:
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


def test_several_questions_get_the_answers_that_each_gets_alone(qa: QuestionAnsweringPipeline) -> None:
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


def test_an_answer_is_found_in_whatever_window_it_stands(qa: QuestionAnsweringPipeline) -> None:
    """Over all windows there is one ranking: each window's own best answer cannot beat it."""
    context = ". ".join(SENTENCES)
    whole = ask(qa, "what", context, top_k=20)
    assert windows_of(qa, {"question": "what", "context": context}) == 3
    starts = [one["start"] for one in whole["top_k"]]
    assert max(starts) - min(starts) > len(context) / 3


def test_logits_are_those_of_one_padded_run_without_the_padding(tiny_qa_export: Path) -> None:
    rows = [[2, *range(4, 4 + length), 3] for length in (9, 1, 5, 20, 3)]
    logits, padded_tokens = OnnxModel(tiny_qa_export / "model.onnx", 1).run(rows, Limits(22, 2, 22), per_token=True)
    ids, mask = pad(rows)
    session = onnxruntime.InferenceSession(tiny_qa_export / "model.onnx")
    names = ["start_logits", "end_logits"]
    for name, values in zip(names, session.run(names, {"input_ids": ids, "attention_mask": mask}), strict=True):
        assert logits[name].shape == ids.shape
        np.testing.assert_allclose(logits[name][mask > 0], values[mask > 0], atol=1e-4)
    assert padded_tokens == 2 * 5 + 2 * 11 + 22


def test_a_model_of_another_task_is_refused(tiny_export: Path, tiny_qa_export: Path, tmp_path: Path) -> None:
    export = shutil.copytree(tiny_qa_export, tmp_path / "export")
    shutil.copy(tiny_export / "model_int8.onnx", export)
    with pytest.raises(ValueError, match=r"outputs are \['logits'.*expected \['end_logits', 'start_logits'\]"):
        QuestionAnsweringPipeline.load(export)
