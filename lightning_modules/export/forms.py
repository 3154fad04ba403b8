"""The forms of one trained model (torch, fp32, INT8) side by side on the same rows."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from handlers.pipelines.base import Pipeline
from lightning_modules.data.batching import pad, similar_lengths
from lightning_modules.export import files, int8
from lightning_modules.export.benchmark import Run, compare_speed
from lightning_modules.models.network import Network
from lightning_modules.sampling import evenly
from lightning_modules.settings import Export
from lightning_modules.tasks.task import Outputs, Row, Task

SPEED_ROWS = 128
AnyPipeline = Pipeline[Any, Any, Any]


@torch.inference_mode()
def torch_outputs(network: Network, rows: Sequence[Sequence[int]], batch_size: int = 32) -> Outputs:
    """fp32 outputs by name in the order of `rows`, run in batches of similar lengths."""
    device = next(network.parameters()).device
    outputs: dict[str, list[Any]] = {}
    for batch in similar_lengths(rows, batch_size):
        ids, mask = pad([rows[i] for i in batch])
        for name, values in network(ids.to(device), mask.to(device)).items():
            of_rows = outputs.setdefault(name, [None] * len(rows))
            for i, value in zip(batch, values.float().cpu().numpy(), strict=True):
                of_rows[i] = value[: len(rows[i])] if network.per_token else value
    return outputs


def onnx_outputs(pipeline: AnyPipeline, rows: Sequence[Sequence[int]]) -> Outputs:
    """The same through an exported form, in the micro-batches that serving makes."""
    return pipeline.logits(rows)[0]


def compare_forms(folder: Path, task: Task, reference: Outputs, settings: Export) -> tuple[dict[str, Row], list[str]]:
    """Quality, size and speed of torch, fp32 and INT8, with as many threads each, and the bounds they miss.

    INT8 is made by the fastest method that holds the bounds. `settings.check_rows` rows at most are compared.
    """
    numbers = task.checked(settings.check_rows)
    rows = [task.rows[i] for i in numbers]
    reference = {name: [values[i] for i in numbers] for name, values in reference.items()}
    threads = torch.get_num_threads()
    fp32: AnyPipeline = task.pipeline.load(folder, model_file=files.FP32, threads=threads)
    found = onnx_outputs(fp32, rows)
    table = {
        "torch": task.quality(reference, reference, numbers),
        "fp32": task.quality(found, reference, numbers) | {"max_logit_difference": max_difference(found, reference)},
    }
    for method in int8.METHODS:
        int8.write_int8(folder / files.FP32, folder / files.INT8, method)
        quantised: AnyPipeline = task.pipeline.load(folder, model_file=files.INT8, threads=threads)
        found = onnx_outputs(quantised, rows)
        quality = task.quality(found, reference, numbers)
        table["int8"] = quality | {"max_logit_difference": max_difference(found, reference)}
        table["int8"]["method"] = method
        misses = task.missed_int8(table["int8"], table["torch"], settings)
        if not misses:
            break
        print(f"INT8 by the {method} method: {'; '.join(misses)}")
    sizes = {"torch": files.weights_mb(folder)} | {form: size_mb(folder / file) for form, file in files.FILES.items()}
    speeds = speed(task.network, {"fp32": fp32, "int8": quantised}, rows)
    full = {form: {**row, "size_mb": sizes[form], **speeds[form]} for form, row in table.items()}
    return full, missed_fp32(table["fp32"], settings) + [f"INT8: {miss}" for miss in misses]


def max_difference(outputs: Outputs, reference: Outputs) -> float:
    """The largest difference of two forms' logits, over all heads; NaN where there is one."""
    pairs = [zip(outputs[name], values, strict=True) for name, values in reference.items()]
    return float(np.max([np.abs(left - right).max() for pair in pairs for left, right in pair]))


def missed_fp32(fp32: Row, settings: Export) -> list[str]:
    """A sentence, if the fp32 ONNX form is not torch's equal."""
    difference = fp32["max_logit_difference"]
    if difference <= settings.max_logit_difference:
        return []
    return [
        f"fp32 ONNX logits differ from torch's by {difference:.2e}, "
        f"more than export.max_logit_difference {settings.max_logit_difference:.2e}"
    ]


def speed(network: Network, pipelines: Mapping[str, AnyPipeline], rows: Sequence[list[int]]) -> dict[str, Row]:
    """Latency of one row and rows a second in batches of 32, of every form, in turns on this CPU."""
    runs: dict[str, Run] = {"torch": partial(torch_outputs, network)}
    runs |= {form: partial(onnx_outputs, pipeline) for form, pipeline in pipelines.items()}
    chosen = [rows[i] for i in evenly(len(rows), SPEED_ROWS)]
    return {
        form: {"latency_ms_p50": taken.latency_ms_p50, "rows_per_second": taken.rows_per_second}
        for form, taken in compare_speed(runs, chosen, repeats=3, seconds=15).items()
    }


def size_mb(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 2)
