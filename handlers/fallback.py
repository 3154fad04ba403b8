"""Choose the model that a worker serves, and fall back to a slower one if the first choice answers wrongly.

On processors without VNNI, ONNX Runtime's INT8 products may saturate: scores change, sometimes labels too, and no error
is raised. Only the answers show it, so each worker answers the golden requests when it loads, and compares the answers
with those that fp32 gave at export. Half precision on a GPU is checked in the same way.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping, Sequence
from math import isqrt
from pathlib import Path
from typing import Any

from handlers.golden import answer_mismatch, golden_mismatch
from handlers.pipelines.base import FP32_FILE, GPU_FILE, AnyPipeline, Pipeline, read_json

logger = logging.getLogger(__name__)
Golden = Sequence[Mapping[str, Any]]
# Number of golden answers that may differ by chance: one that was just within the tolerance at export may be just
# outside it here, but two mean that something is wrong.
SPARE_MISMATCHES = 1


def load_checked(
    pipeline_class: type[AnyPipeline], folder: Path, *, model_file: str, device: str | None = None, **settings: Any
) -> tuple[AnyPipeline, str]:
    """Load `model_file`, or model.onnx if its golden answers are wrong; return the pipeline and the file's name.

    With a `device`, named as in torch, model_fp16.pt2 is tried on it first, and `model_file` on the CPU if that fails
    or is wrong. A model is wrong if more than `allowed_mismatches` of its answers differ from fp32's. Every fallback
    logs a warning.

    Raises:
        ValueError: golden.json has no answers from fp32, or model.onnx is wrong too.
    """
    golden = read_json(folder / "golden.json")
    if not all("fp32" in pair for pair in golden):
        raise ValueError("golden.json has no answers of fp32: export the model again, and build its archive")
    if device is not None:
        on_gpu = _load_on_gpu(device, pipeline_class, folder, golden, settings)
        if not isinstance(on_gpu, str):
            return on_gpu, GPU_FILE
        _free_gpu_memory()
        # TorchServe writes a worker's lines without their level.
        logger.warning(
            "WARNING: %s fails on %s (%s): %s serves on the CPU, slower", GPU_FILE, device, on_gpu, model_file
        )
    pipeline = pipeline_class.load(folder, model_file=model_file, **settings)
    at_export = 0 if model_file == FP32_FILE else sum(_differs_at_export(pair) for pair in golden)
    problem = _golden_problem(pipeline, golden, allowed_mismatches(at_export))
    if problem is None:
        return pipeline, model_file
    if model_file == FP32_FILE:
        raise ValueError(
            f"the archive does not work on this machine ({model_file} {problem}): export the model again here"
        )
    logger.warning(
        "WARNING: INT8 is wrong on this machine (%s %s): fp32 is served instead, right but slower", model_file, problem
    )
    del pipeline  # one model at a time in memory
    return load_checked(pipeline_class, folder, model_file=FP32_FILE, **settings)


def allowed_mismatches(at_export: int) -> int:
    """Return how many golden answers may differ from fp32's, if `at_export` of INT8's did so at export.

    A processor that sums fp32 in another order rounds to other INT8 values, so that other answers differ. Their number
    varies by about its square root.
    """
    return at_export + isqrt(at_export) + SPARE_MISMATCHES


def _load_on_gpu(
    device: str, pipeline_class: type[AnyPipeline], folder: Path, golden: Golden, settings: Mapping[str, Any]
) -> AnyPipeline | str:
    """Return the pipeline, or the reason why it cannot serve, such as too little memory or wrong answers."""
    try:
        pipeline = pipeline_class.load(folder, device=device, **settings)
        return _golden_problem(pipeline, golden, allowed_mismatches(0)) or pipeline
    except Exception as error:  # noqa: BLE001 - CUDA's are of many types; errors of other files show on the CPU, too
        return f"{type(error).__name__}: {error}".splitlines()[0]


def _free_gpu_memory() -> None:
    """Free a failed model's memory. Call it once neither an exception nor a frame refers to the model."""
    from handlers.torch_model import free_memory

    gc.collect()  # a network and its graph refer to each other
    free_memory()


def _golden_problem(pipeline: Pipeline, golden: Golden, allowed: int) -> str | None:
    """Describe how many golden answers differ from fp32's, and how, if that is more than allowed; else return None."""
    answers = pipeline.predict([pair["request"] for pair in golden])  # all at once
    mismatches = [
        f"golden.json[{i}]: {mismatch}"
        for i, (pair, answer) in enumerate(zip(golden, answers, strict=True))
        if (mismatch := golden_mismatch(answer, pair, keys=("fp32",)))
    ]
    if len(mismatches) <= allowed:
        return None
    return (
        f"answers {len(mismatches)} of {len(golden)} golden requests unlike fp32 at export, "
        f"more than {allowed}; {mismatches[0]}"
    )


def _differs_at_export(pair: Mapping[str, Any]) -> bool:
    return answer_mismatch(pair["response"], pair["fp32"]) is not None
