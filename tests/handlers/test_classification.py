"""Test classification with a tiny real model: golden answers, order, ranking, and inconsistent exports."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handlers.model import Limits
from handlers.pipelines.classification import ClassificationPipeline, rank, softmax
from handlers.request import RequestError
from tests.support.tiny_export import COMPLEXITY_LABELS, LABELS, SENTENCES, write_tiny_export


def test_golden_requests_get_their_answers(pipeline: ClassificationPipeline, tiny_export: Path) -> None:
    golden = json.loads((tiny_export / "golden.json").read_text(encoding="utf-8"))
    assert [pipeline.predict([pair["request"]])[0] for pair in golden] == [pair["response"] for pair in golden]


def test_an_answer_lists_the_best_labels_first(pipeline: ClassificationPipeline) -> None:
    [answer] = pipeline.predict([{"text": "hello", "top_k": 99}])
    assert sorted(entry["label"] for entry in answer["top_k"]) == sorted(LABELS)
    scores = [entry["score"] for entry in answer["top_k"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert {"label": answer["label"], "score": answer["score"]} == answer["top_k"][0]
    assert answer["complexity"]["label"] in COMPLEXITY_LABELS
    assert "truncated" not in answer


def test_softmax_of_large_logits_is_finite() -> None:
    assert softmax(np.array([[1e4, 1e4, -1e4]], np.float32)).tolist() == [[0.5, 0.5, 0.0]]


def test_labels_are_ranked_by_score_and_keep_the_order_of_equals() -> None:
    logits = np.log(np.array([[0.2, 0.3, 0.3, 0.2]] * 2, np.float32))
    three, four = rank(logits, ["a", "b", "c", "d"], [3, 9])
    assert [entry["label"] for entry in three] == ["b", "c", "a"]
    assert [entry["label"] for entry in four] == ["b", "c", "a", "d"]
    assert [entry["score"] for entry in four] == pytest.approx([0.3, 0.3, 0.2, 0.2], abs=1e-6)


def test_each_request_has_a_separate_top_k(pipeline: ClassificationPipeline) -> None:
    answers = pipeline.predict([{"text": "hello", "top_k": k} for k in (1, 4, 2)] + ["hello"])
    assert [len(answer["top_k"]) for answer in answers] == [1, 4, 2, 3]


def test_rows_of_all_requests_come_back_in_order(tiny_export: Path) -> None:
    """Use fp32, where an answer does not depend on its neighbours, so that single and batched answers must agree."""
    pipeline = ClassificationPipeline.load(tiny_export, model_file="model.onnx", limits=Limits(40, 4, 40))
    alone = [pipeline.predict([sentence])[0] for sentence in SENTENCES]
    requests = [
        {"instances": [{"text": s} for s in SENTENCES[:4]]},
        *SENTENCES[4:7],
        {"instances": [{"text": s} for s in SENTENCES[7:]]},
    ]
    first, *middle, last = pipeline.predict(requests)
    together = [*first["predictions"], *middle, *last["predictions"]]
    assert [answer["label"] for answer in together] == [answer["label"] for answer in alone]
    assert [answer["score"] for answer in together] == pytest.approx([answer["score"] for answer in alone], abs=1e-5)


def test_no_requests_get_no_answers(pipeline: ClassificationPipeline) -> None:
    assert pipeline.predict([]) == []


def test_a_wrong_request_raises(pipeline: ClassificationPipeline) -> None:
    with pytest.raises(RequestError, match="text is a number"):
        pipeline.predict(["hello", {"text": 1}])


def test_a_model_without_the_complexity_head_gives_no_complexity(tmp_path: Path) -> None:
    [answer] = ClassificationPipeline.load(write_tiny_export(tmp_path / "export", complexity=False)).predict(["hello"])
    assert "complexity" not in answer


def test_labels_that_do_not_fit_the_model_are_refused(tiny_export: Path, tmp_path: Path) -> None:
    export = shutil.copytree(tiny_export, tmp_path / "export")
    (export / "labels.json").write_text(json.dumps({"labels": LABELS[1:], "complexity_labels": COMPLEXITY_LABELS}))
    with pytest.raises(ValueError, match=r"'logits': 4.*'logits': 3"):
        ClassificationPipeline.load(export)


def test_lists_of_labels_that_would_fill_the_memory_are_refused_before_they_do(
    pipeline: ClassificationPipeline,
) -> None:
    many = replace(pipeline, labels=[str(i) for i in range(1000)], complexity_labels=[])
    asked = {"instances": [{"text": "hello"}] * 1000, "top_k": 1000}
    requests = [many.encode(many.parse(payload)) for payload in (asked, "hello")]
    tracemalloc.start()
    refused, answer = many.decode(requests, {"logits": np.zeros((1001, 1000), np.float32)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(refused, RequestError)
    assert refused.code == "answer_too_large"
    assert isinstance(answer, dict)
    assert [entry["label"] for entry in answer["top_k"]] == ["0", "1", "2"]
    assert peak < 100e6
