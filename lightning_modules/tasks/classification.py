"""Evaluate and export text classification."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handlers.pipelines.classification import ClassificationPipeline, softmax
from lightning_modules.data.classification import ClassificationData
from lightning_modules.evaluation.classification_metrics import Predictions, baseline_metrics, classification_metrics
from lightning_modules.evaluation.classification_report import write_classification_report
from lightning_modules.labels import IGNORED
from lightning_modules.models.classifier import Classifier
from lightning_modules.models.network import TextClassifier
from lightning_modules.settings import Export
from lightning_modules.tasks.task import Outputs, Row, Task, exceeds

AGREEMENTS = {"logits": "agreement", "complexity_logits": "complexity_agreement"}


class ClassificationTask(Task):
    """Gate and limits are on the label head; the complexity head is only reported."""

    kind = "text-classification"
    gate_metrics = ("accuracy", "macro_f1")
    pipeline_class = ClassificationPipeline

    network: TextClassifier

    def __init__(self, model: Classifier, data: ClassificationData) -> None:
        self.network = model.network
        self.data = data
        self.tokenizer_json = data.tokenizer_json
        self.rows = data.tokenised["test"]["input_ids"][:]
        self.targets = np.asarray(data.tokenised["test"]["target"])

    def calibrate(self, run: Callable[[list[list[int]]], Outputs]) -> None:
        """Do nothing: the scores are the plain softmax."""

    @property
    def metadata(self) -> dict[str, Any]:
        tokenizer = self.data.tokenizer
        return {
            "pooling": self.network.pool.kind,
            "layer_norm": isinstance(self.network.norm, torch.nn.LayerNorm),
            "max_length": tokenizer.max_length,
            "labels": list(self.data.labels),
            "preprocessing": {"max_length": tokenizer.max_length, "max_characters": tokenizer.max_characters},
        }

    def files(self) -> dict[str, Any]:
        """Return `labels.json`: names in the order of the logits."""
        labels = {"labels": self.data.labels, "complexity_labels": self.data.complexity_labels}
        return {"labels.json": {key: list(names) for key, names in labels.items() if names}}

    def requests(self) -> Sequence[dict[str, Any]]:
        return [{"text": text} for text in self.data.splits["test"].rows["text"][:]]

    def metrics(self, outputs: Outputs) -> dict[str, float]:
        return classification_metrics(self._labelled(outputs))

    def form_metrics(self, outputs: Outputs, reference: Outputs, rows: Sequence[int]) -> Row:
        return label_metrics(outputs, reference, self.targets[rows])

    def missed_int8(self, int8: Row, torch: Row, settings: Export) -> list[str]:
        return missed_label_limits(int8, torch, settings)

    def report(self, folder: Path, name: str, outputs: Outputs, extras: Mapping[str, Any]) -> None:
        levels = self.data.complexity_labels
        rated = bool(levels) and max(self.data.tokenised["test"]["complexity_target"]) != IGNORED
        complexity = self._predictions(outputs["complexity_logits"], levels, "complexity_target") if rated else None
        tables = self.data.splits
        baseline = baseline_metrics(tables["train"].rows, tables["test"].rows)
        write_classification_report(
            folder, name, self._labelled(outputs), complexity, extras={**extras, "baseline": baseline}
        )

    def _labelled(self, outputs: Outputs) -> Predictions:
        return self._predictions(outputs["logits"], self.data.labels, "target")

    def _predictions(self, logits: Sequence[NDArray[np.float32]], labels: tuple[str, ...], target: str) -> Predictions:
        """Return a head's answers to the test rows that have this target."""
        targets = np.asarray(self.data.tokenised["test"][target])
        known = np.flatnonzero(targets != IGNORED)
        texts = self.data.splits["test"].rows.select(known)["text"]
        return Predictions(list(texts), list(labels), targets[known], softmax(np.stack(logits)[known]))


def label_metrics(outputs: Outputs, reference: Outputs, targets: NDArray[np.int64]) -> Row:
    """Return `rows`, `accuracy`, and the share of rows with torch's label: `agreement`, `complexity_agreement`."""
    best = {name: np.stack(values).argmax(axis=1) for name, values in outputs.items()}
    same = {name: best[name] == np.stack(values).argmax(axis=1) for name, values in reference.items()}
    return {
        "rows": len(best["logits"]),
        "accuracy": float((best["logits"] == targets).mean()),
        **{AGREEMENTS[name]: float(equal.mean()) for name, equal in same.items()},
    }


def missed_label_limits(int8: Row, torch: Row, settings: Export) -> list[str]:
    """Return one sentence for each limit that INT8 misses."""
    misses = []
    if exceeds(1 - int8["agreement"], 1 - settings.min_agreement, int8["rows"]):
        misses.append(
            f"it keeps torch's label on {int8['agreement']:.4f} of {int8['rows']} rows, "
            f"less than export.min_agreement {settings.min_agreement}"
        )
    loss = torch["accuracy"] - int8["accuracy"]
    if exceeds(loss, settings.max_accuracy_loss, int8["rows"]):
        misses.append(f"it loses {loss:.4f} accuracy, more than export.max_accuracy_loss {settings.max_accuracy_loss}")
    return misses
