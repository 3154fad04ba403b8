"""Test the model of a GPU worker on the CPU: equal answers, full memory. Tests marked gpu run it on a GPU."""

from __future__ import annotations

import logging
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from handlers import fallback, torch_model
from handlers.entry import gpu_of
from handlers.fallback import load_checked
from handlers.model import Limits, OnnxModel
from handlers.pipelines.base import GPU_FILE, MODEL_FILE, Pipeline
from handlers.pipelines.classification import ClassificationPipeline
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from handlers.torch_model import TorchModel
from tests.support.tiny_export import MAX_LENGTH, SENTENCES
from tests.support.tiny_qa_export import MAX_LENGTH as QA_MAX_LENGTH
from tests.support.torchserve import ask, new_context

ROWS = [[2, *range(4, 4 + length), 3] for length in (9, 1, 15, 20, 3, 22, 11, 2)]
TOLERANCE = 0.01  # tolerance for logits of about 4 in half precision
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
DEVICES = ["cpu", pytest.param("cuda:0", marks=[pytest.mark.gpu, NEEDS_GPU])]


@pytest.fixture
def model(tiny_export: Path) -> TorchModel:
    return TorchModel(tiny_export / GPU_FILE, "cpu", MAX_LENGTH)


@pytest.fixture(params=[("tiny_export", ClassificationPipeline), ("tiny_qa_export", QuestionAnsweringPipeline)])
def exported(request: pytest.FixtureRequest) -> tuple[Path, type[Pipeline]]:
    """Return an exported folder of each task, and its pipeline."""
    name, task = request.param
    return request.getfixturevalue(name), task


def fill_memory(model: TorchModel, monkeypatch: pytest.MonkeyPatch, fits: Callable[[int, int], bool]) -> list[int]:
    """Make micro-batches that do not fit fail as on a GPU; return the list of row counts of those that run."""
    network, ran = model._network, []

    def run(ids: torch.Tensor, mask: torch.Tensor) -> Any:
        if not fits(*ids.shape):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        ran.append(len(ids))
        return network(ids, mask)

    monkeypatch.setattr(model, "_network", run)
    return ran


@pytest.mark.parametrize("device", DEVICES)
def test_logits_equal_those_of_fp32_in_the_order_of_the_rows(tiny_export: Path, device: str) -> None:
    expected, _ = OnnxModel(tiny_export / "model.onnx", 1).run(ROWS, Limits(64, 4, 64))
    for limits in (torch_model.LIMITS, Limits(50, 3, 50), Limits(1, 1, 1)):
        logits, _ = TorchModel(tiny_export / GPU_FILE, device, MAX_LENGTH).run(ROWS, limits)
        assert list(logits) == list(expected) == ["logits", "complexity_logits"]
        for name, values in expected.items():
            assert logits[name].dtype == np.float32
            np.testing.assert_allclose(logits[name], values, atol=TOLERANCE)


@pytest.mark.parametrize("device", DEVICES)
def test_logits_of_tokens_equal_those_of_fp32_without_the_padding(tiny_qa_export: Path, device: str) -> None:
    expected, _ = OnnxModel(tiny_qa_export / "model.onnx", 1).run(ROWS, Limits(64, 4, 64), per_token=True)
    model = TorchModel(tiny_qa_export / GPU_FILE, device, QA_MAX_LENGTH)
    logits, _ = model.run(ROWS, torch_model.LIMITS, per_token=True)
    assert list(logits) == list(expected) == ["start_logits", "end_logits"]
    for name, values in expected.items():
        assert logits[name].shape == (len(ROWS), max(map(len, ROWS)))
        for row, ids in enumerate(ROWS):
            np.testing.assert_allclose(logits[name][row, : len(ids)], values[row, : len(ids)], atol=TOLERANCE)


def test_a_row_does_not_depend_on_its_padding(tiny_export: Path) -> None:
    network = TorchModel(tiny_export / GPU_FILE, "cpu", MAX_LENGTH)._network
    ids = torch.tensor([[2, 30, 31, 32, 3]])
    alone = network(ids, torch.ones_like(ids))["logits"]
    for padding in (1, 19, 59):
        wide = torch.nn.functional.pad(ids, (0, padding))
        assert torch.isfinite(alone).all()
        torch.testing.assert_close(network(wide, (wide > 0).long())["logits"], alone, atol=TOLERANCE, rtol=0)


def test_widths_repeat_and_none_is_beyond_the_longest(model: TorchModel) -> None:
    assert model.run([[2, 3]], Limits(100, 8, 100))[1] == 8
    assert model.run([[2] * 9, [2] * 16], Limits(100, 8, 100))[1] == 2 * 16
    assert TorchModel.run(model, [[2] * 20], Limits(100, 8, 100))[1] == 24
    model._max_length = 22
    assert model.run([[2] * 22], Limits(100, 8, 100))[1] == 22


def test_a_micro_batch_keeps_to_its_budget_with_its_padding(model: TorchModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens: list[int] = []
    fill_memory(model, monkeypatch, lambda rows, width: not tokens.append(rows * width))
    model.run(ROWS, Limits(48, 512, 48))
    assert max(tokens) <= 48


def test_micro_batches_that_do_not_fit_are_halved_for_a_while(
    model: TorchModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected, _ = model.run(ROWS, torch_model.LIMITS)
    now = 1000.0
    monkeypatch.setattr(torch_model, "monotonic", lambda: now)
    ran = fill_memory(model, monkeypatch, lambda rows, width: rows * width <= 72)
    logits, _ = model.run(ROWS, torch_model.LIMITS)
    for name, values in expected.items():
        np.testing.assert_allclose(logits[name], values, atol=TOLERANCE)
    assert sorted(ran) == [2, 2, 4]
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2  # micro-batches of 8 rows, then of 4
    assert "8 rows of 24 tokens do not fit into the memory of cpu" in caplog.text

    model.run(ROWS, torch_model.LIMITS)
    assert len(caplog.records) == 2, "later requests begin with what fitted"
    now += torch_model.SMALLER_SECONDS + 1
    model.run(ROWS[:3], torch_model.LIMITS)
    assert ran[-1] == 3, "the memory may be free again"


def test_a_row_that_never_fits_fails_alone(
    tiny_export: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from handlers.batch import BatchService

    pipeline = ClassificationPipeline.load(tiny_export, device="cpu")
    assert isinstance(pipeline.model, TorchModel)
    service, context = BatchService(pipeline, new_context(), 2048), new_context()
    bodies = ["hello", SENTENCES[-1], "translate this"]
    before = ask(service, context, *bodies)
    fill_memory(pipeline.model, monkeypatch, lambda rows, width: width <= 16)
    (first, lost, last) = ask(service, context, *bodies)
    assert [first[0], lost[0], last[0]] == [200, 500, 200]
    assert lost[1]["error"]["code"] == "inference_failed"
    for answer, expected in ((first, before[0]), (last, before[2])):
        assert answer[1]["label"] == expected[1]["label"]
        assert answer[1]["score"] == pytest.approx(expected[1]["score"], abs=0.005)
    assert "OutOfMemoryError" in caplog.text


@pytest.mark.gpu
@NEEDS_GPU
def test_a_gpu_whose_memory_is_full_still_answers(tiny_export: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = ROWS * 64
    model = TorchModel(tiny_export / GPU_FILE, "cuda:0", MAX_LENGTH)
    expected, _ = model.run(rows, torch_model.LIMITS)
    torch.cuda.empty_cache()
    # Activations of more than 1 MiB come from blocks of 20 MiB, smaller ones from blocks of 2 MiB.
    allowed = torch.cuda.memory_reserved() + 16 * 2**20
    torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.get_device_properties(0).total_memory)
    try:
        logits, _ = model.run(rows, torch_model.LIMITS)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "do not fit into the memory of cuda:0" in caplog.text
    np.testing.assert_allclose(logits["logits"], expected["logits"], atol=TOLERANCE)


@pytest.mark.parametrize("device", DEVICES)
def test_half_precision_that_answers_as_fp32_did_is_served(
    exported: tuple[Path, type[Pipeline]], device: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder, task = exported
    pipeline, file = load_checked(task, folder, model_file=MODEL_FILE, device=device, limits=Limits(1, 1, 1))
    assert file == GPU_FILE
    assert isinstance(pipeline.model, TorchModel)
    assert pipeline.limits == torch_model.LIMITS
    assert not caplog.records


@pytest.mark.filterwarnings("ignore:invalid value")  # numpy warns of NaN
def test_where_half_precision_is_wrong_the_cpu_serves_and_one_warning_says_so(
    exported: tuple[Path, type[Pipeline]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, task = exported
    folder = shutil.copytree(source, tmp_path / "export")
    program = torch.export.load(folder / GPU_FILE)
    for values in program.state_dict.values():
        values.data.mul_(1e4)  # above the largest number of half precision
    torch.export.save(program, folder / GPU_FILE)
    pipeline, file = load_checked(task, folder, model_file=MODEL_FILE, device="cpu", limits=Limits(64, 4, 8))
    assert (file, type(pipeline.model), pipeline.limits) == (MODEL_FILE, OnnxModel, Limits(64, 4, 8))
    [record] = caplog.records
    assert record.getMessage().startswith(f"WARNING: {GPU_FILE} fails on cpu (answers ")
    assert f"{MODEL_FILE} serves on the CPU" in record.getMessage()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("CUDA error: no kernel image\nSearch for it"), "CUDA error: no kernel image"),
        (torch.OutOfMemoryError("out of memory"), "out of memory"),
        (torch.cuda.DeferredCudaCallError("CUDA call failed lazily\n\nIt was invoked at:"), "CUDA call failed lazily"),
        (AssertionError(), ""),
    ],
)
def test_where_a_gpu_fails_while_the_model_is_loaded_the_cpu_serves(
    error: Exception, message: str, tiny_export: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(TorchModel, "_queue", fail)
    pipeline, file = load_checked(ClassificationPipeline, tiny_export, model_file=MODEL_FILE, device="cpu")
    assert (file, type(pipeline.model)) == (MODEL_FILE, OnnxModel)
    [record] = caplog.records
    kind = type(error).__name__
    assert f"fails on cpu ({kind}: {message}): {MODEL_FILE} serves on the CPU" in record.getMessage()


def test_a_model_that_failed_leaves_nothing_in_memory(tiny_export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks: list[weakref.ref[Any]] = []
    left: list[Any] = []

    def fail(pipeline: Pipeline, *args: Any) -> None:
        if isinstance(pipeline.model, TorchModel):
            networks.append(weakref.ref(pipeline.model._network))
            raise RuntimeError("CUDA error")

    monkeypatch.setattr(fallback, "_golden_problem", fail)
    monkeypatch.setattr(torch_model, "free_memory", lambda: left.append(networks[0]()))
    assert load_checked(ClassificationPipeline, tiny_export, model_file=MODEL_FILE, device="cpu")[1] == MODEL_FILE
    assert left == [None]


def test_a_worker_ends_where_an_error_has_ended_cuda_and_goes_on_where_it_has_not(
    model: TorchModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from handlers.batch import INFERENCE_FAILED, BatchService, Exchange
    from handlers.request import Request

    def broken(*args: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    pipeline = SimpleNamespace(model=model, estimate_rows=lambda request: 1, encode=broken)
    service = BatchService(pipeline, new_context(), 2048)
    exchange = Exchange()
    exchange.request = Request(["text"], many=False)
    service._answer([exchange], 0.0)
    assert exchange.error is INFERENCE_FAILED
    monkeypatch.setattr(torch.cuda, "synchronize", broken)
    model._device = torch.device("cuda:0")
    with pytest.raises(SystemExit, match="CUDA has failed on cuda:0: CUDA error: an illegal"):
        service._answer([exchange], 0.0)


def test_a_worker_uses_its_assigned_gpu_if_torch_can_use_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def device_for(gpu: int | None) -> str | None:
        return gpu_of(SimpleNamespace(system_properties={"gpu_id": gpu}))

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert (device_for(None), device_for(0), device_for(1)) == (None, "cuda:0", "cuda:1")
    assert not caplog.records
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_for(0) is None
    assert "WARNING: torch finds no GPU 0" in caplog.text
