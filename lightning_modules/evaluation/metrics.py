"""Figures of a classifier on labelled rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support

from lightning_modules.errors import UserError
from lightning_modules.evaluation.calibration import calibration_bins, expected_calibration_error

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """What a classifier answered on labelled rows.

    Args:
        texts: the rows as they were read.
        labels: class names in the order of the columns.
        targets: int64 [rows], index of the true class.
        probabilities: float32 [rows, classes], each row sums to 1.

    Raises:
        UserError: there are no rows.
        ValueError: the shapes disagree, a label is there twice, a target is no class, or a probability is no
            number in [0, 1].
    """

    texts: list[str]
    labels: list[str]
    targets: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    def __post_init__(self) -> None:
        rows, classes = len(self.texts), len(self.labels)
        if not rows:
            raise UserError("there are no rows to evaluate: give a test set with at least one row")
        if len(set(self.labels)) < classes:
            raise ValueError(f"labels must differ from each other, but are {self.labels}")
        if self.targets.shape != (rows,) or self.probabilities.shape != (rows, classes):
            raise ValueError(
                f"{rows} texts and {classes} labels need targets [{rows}] and probabilities [{rows}, {classes}], "
                f"but their shapes are {list(self.targets.shape)} and {list(self.probabilities.shape)}"
            )
        if not ((self.targets >= 0) & (self.targets < classes)).all():
            raise ValueError(
                f"targets must be in 0..{classes - 1}, but reach {self.targets.min()}..{self.targets.max()}"
            )
        if not ((self.probabilities >= 0) & (self.probabilities <= 1 + 1e-4)).all():
            raise ValueError("probabilities must be numbers in [0, 1], but at least one is not")

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Index of the most probable class, int64 [rows]."""
        return self.probabilities.argmax(axis=1)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Where the most probable class is the true one, bool [rows]."""
        return self.predicted == self.targets

    @property
    def scores(self) -> NDArray[np.float64]:
        """Probability of the most probable class, float64 [rows]."""
        return self.probabilities.max(axis=1).astype(np.float64)


def classification_metrics(p: Predictions) -> dict[str, Any]:
    """Accuracy, precision, recall, F1, calibration and confusion, ready for JSON.

    Macro averages and the table of classes follow scikit-learn and torchmetrics: a class counts when it occurs in the
    targets or in the predictions, and a ratio with an empty denominator is 0. A class in neither has nothing to be
    measured by: its figures are null and no average includes it.

    `accuracy_interval` is Wilson's 95 % interval; `confusion` is {true: {predicted: rows}} without the zeros.
    """
    counts = confusion_counts(p)
    support, answered, hits = counts.sum(axis=1), counts.sum(axis=0), counts.trace()
    seen = (support + answered) > 0
    everything = np.arange(len(p.labels))
    precision, recall, f1, _ = precision_recall_fscore_support(
        p.targets, p.predicted, labels=everything, zero_division=0
    )
    interval = binomtest(int(hits), len(p.texts)).proportion_ci(0.95, method="wilson")
    return {
        "rows": len(p.texts),
        "accuracy": float(hits / len(p.texts)),
        "accuracy_interval": [float(interval.low), float(interval.high)],
        "macro_precision": float(precision[seen].mean()),
        "macro_recall": float(recall[seen].mean()),
        "macro_f1": float(f1[seen].mean()),
        "weighted_f1": float(np.average(f1, weights=support)),
        "expected_calibration_error": expected_calibration_error(calibration_bins(p.scores, p.right)),
        "per_class": {
            name: {
                "precision": float(precision[i]) if seen[i] else None,
                "recall": float(recall[i]) if seen[i] else None,
                "f1": float(f1[i]) if seen[i] else None,
                "support": int(support[i]),
            }
            for i, name in enumerate(p.labels)
        },
        "confusion": {
            name: {p.labels[j]: int(counts[i, j]) for j in counts[i].nonzero()[0]}
            for i, name in enumerate(p.labels)
            if support[i]
        },
    }


def confusion_counts(p: Predictions) -> Counts:
    """Rows by true class (first axis) and predicted class (second axis), int64 [classes, classes]."""
    classes = len(p.labels)
    return np.bincount(p.targets * classes + p.predicted, minlength=classes**2).reshape(classes, classes)
