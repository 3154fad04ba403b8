"""Test the metrics of a batch: each value once, in the lines that TorchServe's metrics write."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from ts.context import Context
from ts.metrics.metric_type_enum import MetricTypes

from handlers import metrics
from handlers.batch import BatchService
from handlers.metrics import UNITS, BatchMetrics
from handlers.pipelines.classification import ClassificationPipeline
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from tests.support.tiny_qa_export import CONTEXT, QUESTIONS
from tests.support.torchserve import ask, new_context


def emitted(caplog: pytest.LogCaptureFixture) -> dict[str, float]:
    """Return the values by name from the single log record of a batch."""
    [record] = [message for message in caplog.messages if message.startswith("[METRICS]")]
    form = re.compile(r"\[METRICS\](\w+)\.\w+:([0-9\-,.e]+)\|#ModelName:tiny,Level:Model\|")
    values = {match[1]: float(match[2]) for line in record.splitlines() if (match := form.match(line))}
    assert len(values) == len(record.splitlines()), "each once"
    return values


def test_each_batch_emits_its_metrics_once(
    service: BatchService, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        ask(service, context, {"text": "hello"}, {"instances": [{"text": "hello"}, {"text": "hello hello"}]}, b"")
    values = emitted(caplog)
    assert values.keys() == {*UNITS["histogram"], *UNITS["counter"]}
    assert values["batch_fill"] == 3 / 4
    assert (values["rows_total"], values["rejected_requests_total"]) == (3, 1)
    assert (values["tokens_total"], values["padded_tokens_total"]) == (3 + 3 + 4, 12)
    assert values["padding_ratio"] == pytest.approx(2 / 12, abs=1e-6)
    assert values["batch_kilotokens"] == 0.012
    steps = values["encode_seconds"] + values["run_seconds"] + values["decode_seconds"]
    assert 0 < steps <= values["handler_seconds"]


def test_a_batch_without_rejections_emits_no_rejection_counter(
    service: BatchService, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        ask(service, context, "hello")
    assert "rejected_requests_total" not in emitted(caplog)


@pytest.mark.parametrize("fell_back", [False, True])
def test_a_fallback_to_fp32_is_a_metric_either_way(
    fell_back: bool, service: BatchService, caplog: pytest.LogCaptureFixture
) -> None:
    assert service.metrics
    with caplog.at_level(logging.INFO):
        service.metrics.emit({"serving_fp32_fallback": fell_back})
    assert emitted(caplog) == {"serving_fp32_fallback": fell_back}


def test_metrics_count_windows(
    qa: QuestionAnsweringPipeline, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    asked = {"question": QUESTIONS[0], "context": CONTEXT}  # two windows
    with caplog.at_level(logging.INFO):
        ask(BatchService(qa, context, 100), context, asked, {"questions": ["how", "what"], "context": "the fox"})
    values = emitted(caplog)
    assert values["rows_total"] == 2 + 1 + 1
    assert values["tokens_total"] == qa.encode(qa.parse(asked)).tokens + 2 * 6


def test_a_server_need_not_declare_the_metrics(tmp_path: Path, pipeline: ClassificationPipeline) -> None:
    declared = tmp_path / "metrics.yaml"
    declared.write_text("model_metrics: {gauge: [{name: PredictionTime, unit: ms, dimensions: [ModelName, Level]}]}")
    context = new_context(declared)
    assert ask(BatchService(pipeline, context, 2048), context, "hello")[0][0] == 200


def test_the_lines_equal_those_of_torchserves_metrics(
    context: Context, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compare with TorchServe's metrics, which include only those that configs/serving/metrics.yaml declares."""
    monkeypatch.setattr(metrics.time, "time", lambda: 1234567.8)
    values = {name: number + 0.25 for number, name in enumerate(name for units in UNITS.values() for name in units)}
    with caplog.at_level(logging.INFO):
        for kind, units in UNITS.items():
            for name in units:
                context.metrics.get_metric(name, MetricTypes(kind)).add_or_update(values[name], ["tiny", "Model"])
        expected = caplog.messages[:]
        caplog.clear()
        BatchMetrics("tiny").emit(values)
    assert caplog.messages == ["\n".join(expected)]
