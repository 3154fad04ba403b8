"""Exported models of one task side by side on the same rows: quality over seeds, size, and speed in the same run.

Each is measured as it is served, by ONNX Runtime: fp32 and INT8.
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
QUALITY = ("accuracy", "macro_f1")
QUESTIONS_AT_ONCE = 64

Figures = dict[str, dict[str, float]]  # by form, then by name
Row = dict[str, Any]


def judged(folder: Path, data: ClassificationData) -> Figures:
    """`judged_texts` on the test rows of the data."""
    test = data.tables["test"].rows
    return judged_texts(folder, test["text"][:], test["label"][:], data.labels)


def judged_texts(folder: Path, texts: Sequence[str], targets: Sequence[str], labels: Sequence[str]) -> Figures:
    """Accuracy and macro F1 of each form of an exported classifier, in its own tokenizer.

    Args:
        folder: of a model that knows the `labels`, in any order.
        targets: of each text, its label.
    """
    numbers = np.array([labels.index(target) for target in targets])
    figures = {}
    for form in FILES:
        pipeline = load(folder, form)
        assert isinstance(pipeline, ClassificationPipeline)
        logits = pipeline.run(token_ids(pipeline, texts))[0]["logits"]
        columns = [pipeline.labels.index(label) for label in labels]
        metrics = classification_metrics(Predictions(list(texts), list(labels), numbers, softmax(logits[:, columns])))
        figures[form] = {name: metrics[name] for name in QUALITY}
    return figures


def judged_questions(folder: Path, requests: Sequence[Payload], references: Sequence[Sequence[str]]) -> Figures:
    """F1 and exact match of each form of an exported model for questions; `references` are the answers to each."""
    figures = {}
    for form in FILES:
        pipeline = load(folder, form)
        answers: list[str] = []
        for start in range(0, len(requests), QUESTIONS_AT_ONCE):
            found = pipeline.predict(requests[start : start + QUESTIONS_AT_ONCE])
            answers += [answer["answer"] for answer in found]
        official = evaluate(zip(answers, references, strict=True))
        figures[form] = {name: official[name] / 100 for name in ("f1", "exact_match")}
    return figures


def comparison_rows(
    models: Mapping[str, Path], figures: Mapping[str, Sequence[Figures]], requests: Sequence[Payload]
) -> list[Row]:
    """One row for each model and form.

    Args:
        models: exported folder of each model, whose size and speed are told.
        figures: `judged…` of each model, once for each of its seeds.
        requests: on which speed is measured, all models and forms in turns; texts, or what clients send.
    """
    speed = speeds(models, requests)
    return [
        {
            "model": model,
            "form": form,
            "seeds": len(figures[model]),
            **spread([of_seed[form] for of_seed in figures[model]]),
            "parameters": parameters(folder),
            "size_mb": size_mb(folder / FILES[form]),
            **speed[model, form],
        }
        for model, folder in models.items()
        for form in FILES
    ]


def spread(seeds: Sequence[Mapping[str, float]]) -> Row:
    """Mean and sample standard deviation of each figure over the seeds; the latter is None for one seed."""
    row: Row = {}
    for name in seeds[0]:
        values = [figures[name] for figures in seeds]
        row[name] = float(np.mean(values))
        row[f"{name}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return row


def speeds(models: Mapping[str, Path], requests: Sequence[Payload]) -> dict[tuple[str, str], Row]:
    """Latency of one request and requests a second in batches of 32, tokenised ahead, with torch's number of threads.

    A text is one row of a model; a question has as many as its context has windows.
    """
    chosen = [requests[i] for i in evenly(len(requests), TIMED_ROWS)]
    runs: dict[str, Run] = {}
    names = {}
    for model, folder in models.items():
        for form in FILES:
            pipeline = load(folder, form)
            name = f"{model} {form}"
            names[name] = (model, form)
            runs[name] = partial(_run, pipeline, [pipeline.encode(pipeline.parse(request)).rows for request in chosen])
    # Each model has token ids of its own for a request, so what is handed round are the requests' numbers.
    taken = compare_speed(runs, [[i] for i in range(len(chosen))], seconds=60)
    return {names[name]: asdict(speed) for name, speed in taken.items()}


def load(folder: Path, form: str) -> Pipeline:
    """A form of an exported folder, by its task."""
    pipeline = PIPELINES[read_json(folder / "metadata.json")["task"]]
    return pipeline.load(folder, model_file=FILES[form], threads=torch.get_num_threads())


def token_ids(pipeline: ClassificationPipeline, texts: Sequence[str]) -> list[list[int]]:
    return [encoding.ids for encoding in pipeline.tokenizer.tokenize(texts)]


def _run(pipeline: Pipeline, rows: Sequence[Sequence[list[int]]], numbers: Sequence[list[int]]) -> object:
    return pipeline.run([ids for (i,) in numbers for ids in rows[i]])
