"""Which model a worker serves: the GPU's or that of its settings, or a slower one where it is wrong on this machine.

On processors without VNNI, ONNX Runtime's INT8 products saturate: scores move, labels may, and nothing fails. Only the
answers tell, so each worker asks for those of the golden requests and compares them with fp32's, made at export. Half
precision on a GPU is held to them, too.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping, Sequence
from math import isqrt
from pathlib import Path
from typing import Any

from handlers.golden import disagreement, form_fault
from handlers.pipelines.base import FP32_FILE, GPU_FILE, AnyPipeline, Pipeline, read_json

logger = logging.getLogger(__name__)
Golden = Sequence[Mapping[str, Any]]
# Of the golden requests: a row that was at the edge of the tolerance at export may be beyond it here, two are a fault.
SPARE_ROWS = 1


def load_checked(
    kind: type[AnyPipeline], folder: Path, *, model_file: str, device: str | None = None, **settings: Any
) -> tuple[AnyPipeline, str]:
    """Loads `model_file`, or model.onnx where its golden answers are wrong; returns the file that it loaded, too.

    With a `device` as torch names it, model_fp16.pt2 on it comes first, `model_file` on the CPU where that fails or is
    wrong. Wrong are answers that differ from fp32's in more than `most_rows`. Falling back logs a warning.

    Raises:
        ValueError: golden.json has no answers of fp32, or model.onnx answers wrongly, too.
    """
    golden = read_json(folder / "golden.json")
    if not all("fp32" in pair for pair in golden):
        raise ValueError("golden.json has no answers of fp32: export the model again, and build its archive")
    if device is not None:
        found = _fault_on(device, kind, folder, golden, settings)
        if not isinstance(found, str):
            return found, GPU_FILE
        # TorchServe writes a worker's lines without their level.
        logger.warning(
            "WARNING: %s fails on %s (%s): %s serves on the CPU, slower", GPU_FILE, device, found, model_file
        )
    pipeline = kind.load(folder, model_file=model_file, **settings)
    at_export = 0 if model_file == FP32_FILE else sum(_differs_at_export(pair) for pair in golden)
    fault = _fault(pipeline, golden, at_export)
    if fault is None:
        return pipeline, model_file
    if model_file == FP32_FILE:
        raise ValueError(
            f"the archive does not work on this machine ({model_file} {fault}): export the model again here"
        )
    logger.warning(
        "WARNING: INT8 is wrong on this machine (%s %s): fp32 is served instead, right but slower", model_file, fault
    )
    del pipeline  # one model at a time in memory
    return load_checked(kind, folder, model_file=FP32_FILE, **settings)


def _fault_on(
    device: str, kind: type[AnyPipeline], folder: Path, golden: Golden, settings: Mapping[str, Any]
) -> AnyPipeline | str:
    """The pipeline on that GPU, or why it cannot serve; of what failed nothing is left in the GPU's memory."""
    found = _tried_on(device, kind, folder, golden, settings)
    if isinstance(found, str):
        from handlers.torch_model import free_memory

        gc.collect()  # a network and its graph refer to each other
        free_memory()
    return found


def _tried_on(
    device: str, kind: type[AnyPipeline], folder: Path, golden: Golden, settings: Mapping[str, Any]
) -> AnyPipeline | str:
    """The same: no memory, a GPU or a driver that this torch is not made for, a wrong answer."""
    try:
        pipeline = kind.load(folder, device=device, **settings)
        return _fault(pipeline, golden, 0) or pipeline
    except Exception as error:  # noqa: BLE001 - CUDA's are of many types; faults of the other files show on the CPU, too
        return f"{type(error).__name__}: {error}".splitlines()[0]


def _fault(pipeline: Pipeline[Any, Any, Any], golden: Golden, at_export: int) -> str | None:
    """How many golden answers differ from fp32's, and how, where these are more than may; all are asked at once."""
    answers = pipeline.predict([pair["request"] for pair in golden])
    found = [form_fault(pair, "fp32", answer) for pair, answer in zip(golden, answers, strict=True)]
    faults = [f"golden.json[{i}]: {fault}" for i, fault in enumerate(found) if fault]
    if len(faults) <= most_rows(at_export):
        return None
    return (
        f"answers {len(faults)} of {len(golden)} golden requests unlike fp32 at export, "
        f"more than {most_rows(at_export)}; {faults[0]}"
    )


def most_rows(at_export: int) -> int:
    """How many rows may differ from fp32, where INT8 differed in `at_export` of them.

    A processor that sums fp32 in another order rounds to other INT8 values, so that other rows differ: their number
    varies by about its square root.
    """
    return at_export + isqrt(at_export) + SPARE_ROWS


def _differs_at_export(pair: Mapping[str, Any]) -> bool:
    return disagreement(pair["fp32"], pair["response"]) is not None
