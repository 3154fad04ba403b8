"""Compute metrics of a classifier on labelled rows, list its errors, and measure a simple baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from lightning_modules.errors import UserError
from lightning_modules.evaluation.calibration import calibration_bins, expected_calibration_error

Counts = NDArray[np.int64]
Columns = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Predictions:
    """Hold a classifier's answers to labelled rows.

    Args:
        texts: texts of the rows as they were read.
        labels: class names in the order of the columns.
        targets: int64 [rows], index of the true class.
        probabilities: float32 [rows, classes], each row sums to 1.

    Raises:
        UserError: there are no rows.
        ValueError: the shapes disagree, a label occurs twice, a target is no class, or a probability is no number in
            [0, 1].
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
        """Return the index of the most probable class, int64 [rows]."""
        return self.probabilities.argmax(axis=1)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Return whether the most probable class is the true one, bool [rows]."""
        return self.predicted == self.targets

    @property
    def scores(self) -> NDArray[np.float64]:
        """Return the probability of the most probable class, float64 [rows]."""
        return self.probabilities.max(axis=1).astype(np.float64)


def classification_metrics(p: Predictions) -> dict[str, Any]:
    """Return accuracy, precision, recall, F1, calibration and confusion, ready for JSON.

    Macro averages and the table of classes follow scikit-learn and torchmetrics: a class counts when it occurs in the
    targets or in the predictions, and a ratio with an empty denominator is 0. A class in neither cannot be measured:
    its metrics are null and no average includes it.

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
    """Count rows by true class (first axis) and predicted class (second axis), int64 [classes, classes]."""
    classes = len(p.labels)
    return np.bincount(p.targets * classes + p.predicted, minlength=classes**2).reshape(classes, classes)


def confused_pairs(p: Predictions, limit: int) -> list[dict[str, Any]]:
    """Return the most frequent confusions, most rows first; `share` is that of the rows of the true class."""
    counts = confusion_counts(p)
    wrong = counts - np.diag(counts.diagonal())
    pairs = [(int(i), int(j)) for i, j in np.argwhere(wrong)]
    pairs.sort(key=lambda pair: -wrong[pair])
    return [
        {
            "target": p.labels[i],
            "predicted": p.labels[j],
            "rows": int(wrong[i, j]),
            "share": float(wrong[i, j] / counts[i].sum()),
        }
        for i, j in pairs[:limit]
    ]


def most_confused(counts: Counts, limit: int) -> NDArray[np.int64]:
    """Return the classes with most errors, as true or as predicted class: indices, ascending, int64 [<= limit]."""
    wrong = counts - np.diag(counts.diagonal())
    involved = wrong.sum(axis=0) + wrong.sum(axis=1)
    ranked = np.argsort(-involved, kind="stable")[:limit]
    return np.sort(ranked[involved[ranked] > 0])


def confident_errors(p: Predictions, limit: int) -> list[dict[str, Any]]:
    """Return at most `limit` wrong answers, highest score first."""
    wrong = np.flatnonzero(p.predicted != p.targets)
    ranked = wrong[np.argsort(-p.scores[wrong], kind="stable")][:limit]
    return [_answer(p, int(row)) for row in ranked]


def examples(p: Predictions, limit: int) -> list[dict[str, Any]]:
    """Return answers, right or wrong, to rows spread evenly over the test set, in its order."""
    rows = np.unique(np.linspace(0, len(p.texts) - 1, limit).round().astype(int))
    return [_answer(p, int(row)) for row in rows]


def _answer(p: Predictions, row: int) -> dict[str, Any]:
    """Describe one answer; `row` counts from 0, `target_score` is the probability of the true class."""
    return {
        "row": row,
        "text": p.texts[row],
        "target": p.labels[p.targets[row]],
        "predicted": p.labels[p.predicted[row]],
        "score": float(p.scores[row]),
        "target_score": float(p.probabilities[row, p.targets[row]]),
    }


def baseline_metrics(train: Columns, test: Columns, text: str = "text", label: str = "label") -> dict[str, float]:
    """Return test `accuracy` and `macro_f1`, 0 to 1, of TF-IDF with a logistic regression: the bar for fine-tuning.

    `train` and `test` map column names to equally long columns, such as a dict of lists or a `datasets.Dataset`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline

    # By stochastic gradient descent: seconds, where the exact solvers take minutes on 150 labels.
    regression = SGDClassifier(loss="log_loss", alpha=1e-5, random_state=0)
    # Single characters count as words: some scripts have no spaces, and a text may be one letter.
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|\w|[^\s]")
    model = make_pipeline(words, regression)
    model.fit(list(train[text]), list(train[label]))
    predicted, targets = model.predict(list(test[text])), list(test[label])
    return {
        "accuracy": float((predicted == targets).mean()),
        "macro_f1": float(f1_score(targets, predicted, average="macro")),
    }
