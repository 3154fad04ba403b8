"""Compare the forms of one trained model (torch, fp32 and INT8) on the same rows: metrics, size and speed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from handlers.pipelines.base import Pipeline
from lightning_modules.data.batching import pad, similar_lengths
from lightning_modules.export import files, int8
from lightning_modules.export.speed import TIMED_ROWS, Run, compare_speed
from lightning_modules.models.network import Network
from lightning_modules.sampling import evenly
from lightning_modules.settings import FORMS, Export
from lightning_modules.tasks.task import Outputs, Row, Task

# Forms that an export times, and seconds after which it starts no other repeat; speed.py has rows and repeats.
TIMED_FORMS, TIMED_SECONDS = FORMS, 5.0


@torch.inference_mode()
def torch_outputs(network: Network, rows: Sequence[Sequence[int]], batch_size: int = 32) -> Outputs:
    """Return torch's fp32 outputs in the order of `rows`, run in batches of similar lengths."""
    device = next(network.parameters()).device
    outputs: dict[str, list[Any]] = {}
    for batch in similar_lengths(rows, batch_size):
        ids, mask = pad([rows[i] for i in batch])
        for name, values in network(ids.to(device), mask.to(device)).items():
            by_row = outputs.setdefault(name, [None] * len(rows))
            for i, value in zip(batch, values.float().cpu().numpy(), strict=True):
                by_row[i] = value[: len(rows[i])] if network.per_token else value
    return outputs


def onnx_outputs(pipeline: Pipeline, rows: Sequence[Sequence[int]]) -> Outputs:
    """Return the outputs of an exported form in the order of `rows`, run in the same micro-batches as in serving."""
    logits, _ = pipeline.run(rows)
    return {
        name: [row[: len(ids)] if pipeline.per_token else row for row, ids in zip(values, rows, strict=True)]
        for name, values in logits.items()
    }


def compare_forms(folder: Path, task: Task, reference: Outputs, settings: Export) -> tuple[dict[str, Row], list[str]]:
    """Compare torch, fp32 and INT8, with equal numbers of threads, on at most `settings.check_rows` test rows.

    INT8 is written by the fastest method within the limits of `settings`, or else by the last one.

    Args:
        folder: exported folder, to which the INT8 form is added.
        task: the trained model with its test rows.
        reference: torch's outputs of all test rows.
        settings: limits that the forms must meet.

    Returns:
        Metrics, size and speed by form, and a sentence for each missed limit.
    """
    numbers = task.sample(settings.check_rows)
    rows = [task.rows[i] for i in numbers]
    reference = {name: [values[i] for i in numbers] for name, values in reference.items()}
    threads = torch.get_num_threads()

    def compared(pipeline: Pipeline) -> Row:
        outputs = onnx_outputs(pipeline, rows)
        difference = max_difference(outputs, reference)
        return task.form_metrics(outputs, reference, numbers) | {"max_logit_difference": difference}

    fp32 = task.pipeline_class.load(folder, model_file=files.FP32, threads=threads)
    table = {"torch": task.form_metrics(reference, reference, numbers), "fp32": compared(fp32)}
    for method in int8.METHODS:
        int8.write_int8(folder / files.FP32, folder / files.INT8, method)
        quantized = task.pipeline_class.load(folder, model_file=files.INT8, threads=threads)
        table["int8"] = compared(quantized) | {"method": method}
        misses = task.missed_int8(table["int8"], table["torch"], settings)
        if not misses:
            break
        print(f"INT8 by the {method} method: {'; '.join(misses)}")
    sizes = {"torch": files.weights_mb(folder)} | {form: size_mb(folder / file) for form, file in files.FILES.items()}
    speeds = time_forms(task.network, {"fp32": fp32, "int8": quantized}, rows)
    full = {form: {**table[form], "size_mb": sizes[form], **speeds.get(form, {})} for form in FORMS}
    return full, missed_fp32(table["fp32"], settings) + [f"INT8: {miss}" for miss in misses]


def max_difference(outputs: Outputs, reference: Outputs) -> float:
    """Return the largest difference between two forms' logits over all heads, or NaN if any logit is NaN."""
    pairs = [zip(outputs[name], values, strict=True) for name, values in reference.items()]
    return float(np.max([np.abs(left - right).max() for pair in pairs for left, right in pair]))


def missed_fp32(fp32: Row, settings: Export) -> list[str]:
    """Return a sentence if fp32's logits differ too much from torch's, or else an empty list."""
    difference = fp32["max_logit_difference"]
    if difference <= settings.max_logit_difference:
        return []
    return [
        f"fp32 ONNX logits differ from torch's by {difference:.2e}, "
        f"more than export.max_logit_difference {settings.max_logit_difference:.2e}"
    ]


def time_forms(network: Network, pipelines: Mapping[str, Pipeline], rows: Sequence[list[int]]) -> dict[str, Row]:
    """Return `latency_ms_p50` and `rows_per_second` of each of `TIMED_FORMS`, timed in turns on this CPU."""
    runs: dict[str, Run] = {"torch": partial(torch_outputs, network)}
    runs |= {form: partial(onnx_outputs, pipeline) for form, pipeline in pipelines.items()}
    timed = {form: runs[form] for form in TIMED_FORMS}
    speeds = compare_speed(timed, [rows[i] for i in evenly(len(rows), TIMED_ROWS)], seconds=TIMED_SECONDS)
    return {form: asdict(speed) for form, speed in speeds.items()}


def size_mb(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 2)
