"""Exported classifiers side by side on the same rows: quality over seeds, size, and speed in the same run.

Each is measured as it is served, by ONNX Runtime: fp32 and INT8.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from handlers.pipeline import ClassificationPipeline
from handlers.text.scores import softmax
from lightning_modules.data.classification import ClassificationData
from lightning_modules.evaluation.metrics import Predictions, classification_metrics
from lightning_modules.export import files
from lightning_modules.export.benchmark import Run, compare_speed
from lightning_modules.export.forms import SPEED_ROWS, size_mb
from lightning_modules.export.reading import parameters

FORMS = {"fp32": files.FP32, "int8": files.INT8}
QUALITY = ("accuracy", "macro_f1")

Figures = dict[str, dict[str, float]]  # by form, then by name
Row = dict[str, Any]


def judged(folder: Path, data: ClassificationData) -> Figures:
    """Accuracy and macro F1 of each form of an exported classifier on the test rows, in its own tokenizer."""
    test, labels = data.tables["test"].rows, data.labels
    texts = list(test["text"])
    targets = np.array([labels.index(label) for label in test["label"]])
    figures = {}
    for form in FORMS:
        pipeline = load(folder, form)
        logits = pipeline.logits(token_ids(pipeline, texts))[0]["logits"]
        columns = [pipeline.labels.index(label) for label in labels]
        metrics = classification_metrics(Predictions(texts, list(labels), targets, softmax(logits[:, columns])))
        figures[form] = {name: metrics[name] for name in QUALITY}
    return figures


def comparison_rows(
    models: Mapping[str, Path], figures: Mapping[str, Sequence[Figures]], texts: Sequence[str]
) -> list[Row]:
    """One row for each model and form.

    Args:
        models: exported folder of each model, whose size and speed are told.
        figures: `judged` of each model, once for each of its seeds.
        texts: on which speed is measured, all models and forms in turns.
    """
    speed = speeds(models, texts)
    return [
        {
            "model": model,
            "form": form,
            "seeds": len(figures[model]),
            **spread([of_seed[form] for of_seed in figures[model]]),
            "parameters": parameters(folder),
            "size_mb": size_mb(folder / FORMS[form]),
            **speed[model, form],
        }
        for model, folder in models.items()
        for form in FORMS
    ]


def spread(seeds: Sequence[Mapping[str, float]]) -> Row:
    """Mean and sample standard deviation of each figure over the seeds; the latter is None for one seed."""
    row: Row = {}
    for name in QUALITY:
        values = [figures[name] for figures in seeds]
        row[name] = float(np.mean(values))
        row[f"{name}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return row


def speeds(models: Mapping[str, Path], texts: Sequence[str]) -> dict[tuple[str, str], Row]:
    """Latency of one row and rows a second in batches of 32, with as many threads as torch has."""
    chosen = [texts[i] for i in np.linspace(0, len(texts) - 1, min(SPEED_ROWS, len(texts)), dtype=int)]
    runs: dict[str, Run] = {}
    names = {}
    for model, folder in models.items():
        for form in FORMS:
            pipeline = load(folder, form)
            name = f"{model} {form}"
            names[name] = (model, form)
            runs[name] = partial(_run, pipeline, token_ids(pipeline, chosen))
    # Each model has token ids of its own for a text, so what is handed round are the texts' numbers.
    taken = compare_speed(runs, [[i] for i in range(len(chosen))], repeats=3, seconds=60)
    return {
        names[name]: {"latency_ms_p50": speed.latency_ms_p50, "rows_per_second": speed.rows_per_second}
        for name, speed in taken.items()
    }


def load(folder: Path, form: str) -> ClassificationPipeline:
    return ClassificationPipeline.load(folder, model_file=FORMS[form], threads=torch.get_num_threads())


def token_ids(pipeline: ClassificationPipeline, texts: Sequence[str]) -> list[list[int]]:
    return [row.ids for row in pipeline.encoder.encode(texts)]


def _run(pipeline: ClassificationPipeline, rows: Sequence[list[int]], numbers: Sequence[list[int]]) -> object:
    return pipeline.logits([rows[i] for (i,) in numbers])
