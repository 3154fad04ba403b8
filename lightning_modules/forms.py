"""The forms of one trained classifier (torch, ONNX, INT8) side by side on the same rows."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handlers.onnx_model import Logits
from handlers.pipeline import ClassificationPipeline
from lightning_modules.batching import pad
from lightning_modules.benchmark import Run, compare_speed
from lightning_modules.network import TextClassifier
from lightning_modules.settings import Export

Row = dict[str, Any]
SPEED_ROWS = 256
AGREEMENTS = {"logits": "agreement", "complexity_logits": "complexity_agreement"}


@torch.inference_mode()
def torch_logits(network: TextClassifier, rows: Sequence[Sequence[int]], batch_size: int = 32) -> Logits:
    """fp32 outputs by name, [rows, classes] in the order of `rows`, in batches of similar lengths."""
    device = next(network.parameters()).device
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    logits: Logits = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        ids, mask = pad([rows[i] for i in batch])
        for name, values in network(ids.to(device), mask.to(device)).items():
            logits.setdefault(name, np.empty((len(rows), values.shape[1]), np.float32))[batch] = values.cpu().numpy()
    return logits


def onnx_logits(pipeline: ClassificationPipeline, rows: Sequence[Sequence[int]]) -> Logits:
    """The same through an exported form, in the micro-batches that serving makes."""
    logits, _ = pipeline.model.run(rows, pipeline.token_budget, pipeline.max_rows)
    return logits


def quality(logits: Logits, reference: Logits, targets: NDArray[np.int64]) -> Row:
    """Of one form against torch's `reference`.

    `accuracy`; `agreement` and, with that head, `complexity_agreement`, the share of rows with torch's label;
    `max_logit_difference`, over all heads.
    """
    same = {name: float((logits[name].argmax(axis=1) == reference[name].argmax(axis=1)).mean()) for name in reference}
    return {
        "accuracy": float((logits["logits"].argmax(axis=1) == targets).mean()),
        **{AGREEMENTS[name]: share for name, share in same.items()},
        "max_logit_difference": float(max(np.abs(logits[name] - reference[name]).max() for name in reference)),
    }


def missed_onnx(onnx: Row, settings: Export) -> list[str]:
    """A sentence, if the fp32 ONNX form is not torch's equal."""
    difference = onnx["max_logit_difference"]
    if difference <= settings.max_logit_difference:
        return []
    return [
        f"fp32 ONNX logits differ from torch's by {difference:.2e}, "
        f"more than export.max_logit_difference {settings.max_logit_difference:.2e}"
    ]


def missed_int8(int8: Row, torch_accuracy: float, rows: int, settings: Export) -> list[str]:
    """One sentence for each bound that the INT8 form misses; the bounds are on the label, not on the complexity.

    On few rows a single one can be more than a bound's share: one row of difference is always accepted.
    """
    misses = []
    if 1 - int8["agreement"] > max(1 - settings.min_agreement, 1.5 / rows) + 1e-9:
        misses.append(
            f"it keeps torch's label on {int8['agreement']:.4f} of {rows} rows, "
            f"less than export.min_agreement {settings.min_agreement}"
        )
    loss = torch_accuracy - int8["accuracy"]
    if loss > max(settings.max_accuracy_loss, 1.5 / rows) + 1e-9:
        misses.append(f"it loses {loss:.4f} accuracy, more than export.max_accuracy_loss {settings.max_accuracy_loss}")
    return misses


def speed(
    network: TextClassifier, pipelines: Mapping[str, ClassificationPipeline], rows: Sequence[list[int]]
) -> dict[str, Row]:
    """Latency of one row and rows a second in batches of 32, of every form, in turns on this CPU."""
    runs: dict[str, Run] = {"torch": partial(torch_logits, network)}
    runs |= {form: partial(onnx_logits, pipeline) for form, pipeline in pipelines.items()}
    chosen = [rows[i] for i in np.linspace(0, len(rows) - 1, min(SPEED_ROWS, len(rows)), dtype=int)]
    return {
        form: {"latency_ms_p50": taken.latency_ms_p50, "rows_per_second": taken.rows_per_second}
        for form, taken in compare_speed(runs, chosen, repeats=3, seconds=30).items()
    }


def size_mb(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 2)
