"""Measure exported models of one task on the same rows: quality over seeds, size, and speed in the same process.

Every form is measured as it is served, by ONNX Runtime: fp32 and INT8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archives.squad_metric import evaluate
from handlers.pipelines.base import Pipeline
from handlers.pipelines.classification import ClassificationPipeline, softmax
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from handlers.request import Payload
from lightning_modules.data.classification import ClassificationData
from lightning_modules.evaluation.classification_metrics import Predictions, classification_metrics
from lightning_modules.export.checkpoints import parameters
from lightning_modules.export.files import FILES
from lightning_modules.export.parity import size_mb
from lightning_modules.export.speed import TIMED_ROWS, Run, compare_speed
from lightning_modules.sampling import evenly
from lightning_modules.text_files import read_json

PIPELINES: dict[str, type[Pipeline]] = {
    "text-classification": ClassificationPipeline,
    "question-answering": QuestionAnsweringPipeline,
}
TEXT_METRICS = ("accuracy", "macro_f1")
ANSWER_METRICS = ("f1", "exact_match")
QUESTIONS_AT_ONCE = 64

Quality = dict[str, dict[str, float]]  # metrics by form, then by name
Row = dict[str, Any]


def quality_on_test(folder: Path, data: ClassificationData) -> Quality:
    """Return the `text_quality` on the test rows of the data."""
    test = data.splits["test"].rows
    return text_quality(folder, test["text"][:], test["label"][:], data.labels)


def text_quality(folder: Path, texts: Sequence[str], targets: Sequence[str], labels: Sequence[str]) -> Quality:
    """Return accuracy and macro F1 of each form of an exported classifier, with its own tokenizer.

    Args:
        folder: exported folder of a model that knows the `labels`, in any order.
        texts: rows to classify.
        targets: right label of each text.
        labels: all labels.
    """
    numbers = np.array([labels.index(target) for target in targets])
    quality = {}
    for form in FILES:
        pipeline = load_form(folder, form)
        assert isinstance(pipeline, ClassificationPipeline)
        logits = pipeline.run(token_ids(pipeline, texts))[0]["logits"]
        columns = [pipeline.labels.index(label) for label in labels]
        metrics = classification_metrics(Predictions(list(texts), list(labels), numbers, softmax(logits[:, columns])))
        quality[form] = {name: metrics[name] for name in TEXT_METRICS}
    return quality


def answer_quality(folder: Path, requests: Sequence[Payload], references: Sequence[Sequence[str]]) -> Quality:
    """Return F1 and exact match of each form of an exported model; `references` are the right answers by request."""
    quality = {}
    for form in FILES:
        pipeline = load_form(folder, form)
        answers: list[str] = []
        for start in range(0, len(requests), QUESTIONS_AT_ONCE):
            predictions = pipeline.predict(requests[start : start + QUESTIONS_AT_ONCE])
            answers += [prediction["answer"] for prediction in predictions]
        official = evaluate(zip(answers, references, strict=True))
        quality[form] = {name: official[name] / 100 for name in ANSWER_METRICS}
    return quality


def comparison_rows(
    models: Mapping[str, Path], quality: Mapping[str, Sequence[Quality]], requests: Sequence[Payload]
) -> list[Row]:
    """Return one row for each model and form.

    Args:
        models: exported folder of each model, whose size and speed are measured.
        quality: quality of each model, once for each of its seeds.
        requests: texts or questions on which speed is measured, all models and forms in turns.
    """
    speed = measure_speed(models, requests)
    return [
        {
            "model": model,
            "form": form,
            "seeds": len(quality[model]),
            **spread([of_seed[form] for of_seed in quality[model]]),
            "parameters": parameters(folder),
            "size_mb": size_mb(folder / FILES[form]),
            **speed[model, form],
        }
        for model, folder in models.items()
        for form in FILES
    ]


def spread(seeds: Sequence[Mapping[str, float]]) -> Row:
    """Return mean and sample standard deviation of each metric over the seeds; the latter is None for one seed."""
    row: Row = {}
    for name in seeds[0]:
        values = [metrics[name] for metrics in seeds]
        row[name] = float(np.mean(values))
        row[f"{name}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return row


def measure_speed(models: Mapping[str, Path], requests: Sequence[Payload]) -> dict[tuple[str, str], Row]:
    """Return latency of one request and requests a second in batches of 32, by model and form.

    Requests are tokenised ahead, and run with torch's number of threads. A text is one row of a model; a question has
    as many rows as its context has windows.
    """
    sample = [requests[i] for i in evenly(len(requests), TIMED_ROWS)]
    runs: dict[str, Run] = {}
    names: dict[str, tuple[str, str]] = {}
    for model, folder in models.items():
        for form in FILES:
            pipeline = load_form(folder, form)
            name = f"{model} {form}"
            names[name] = (model, form)
            runs[name] = partial(_run, pipeline, [pipeline.encode(pipeline.parse(request)).rows for request in sample])
    # Each model has its own token ids for a request, so the benchmark hands out the requests' numbers.
    measured = compare_speed(runs, [[i] for i in range(len(sample))])
    return {names[name]: asdict(speed) for name, speed in measured.items()}


def load_form(folder: Path, form: str) -> Pipeline:
    """Load a form of an exported folder with the pipeline of its task."""
    pipeline = PIPELINES[read_json(folder / "metadata.json")["task"]]
    return pipeline.load(folder, model_file=FILES[form], threads=torch.get_num_threads())


def token_ids(pipeline: ClassificationPipeline, texts: Sequence[str]) -> list[list[int]]:
    return [encoding.ids for encoding in pipeline.tokenizer.tokenize(texts)]


def _run(pipeline: Pipeline, rows: Sequence[Sequence[list[int]]], numbers: Sequence[list[int]]) -> object:
    return pipeline.run([ids for (i,) in numbers for ids in rows[i]])
