"""Where a classifier goes wrong: confused classes, confident errors, and rows to look at."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.evaluation.metrics import Counts, Predictions, confusion_counts


def confused_pairs(p: Predictions, limit: int) -> list[dict[str, Any]]:
    """The most frequent confusions, most rows first; `share` is of the rows of the true class."""
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
    """Indices, ascending, of the classes with most errors as true or as predicted class, int64 [<= limit]."""
    wrong = counts - np.diag(counts.diagonal())
    involved = wrong.sum(axis=0) + wrong.sum(axis=1)
    ranked = np.argsort(-involved, kind="stable")[:limit]
    return np.sort(ranked[involved[ranked] > 0])


def confident_errors(p: Predictions, limit: int) -> list[dict[str, Any]]:
    """Wrong answers, highest score first."""
    wrong = np.flatnonzero(p.predicted != p.targets)
    ranked = wrong[np.argsort(-p.scores[wrong], kind="stable")][:limit]
    return [_answer(p, int(row)) for row in ranked]


def examples(p: Predictions, limit: int) -> list[dict[str, Any]]:
    """Answers to rows spread evenly over the test set, in its order, right or wrong."""
    rows = np.unique(np.linspace(0, len(p.texts) - 1, limit).round().astype(int))
    return [_answer(p, int(row)) for row in rows]


def _answer(p: Predictions, row: int) -> dict[str, Any]:
    """`row` counts from 0; `target_score` is the probability the true class was given."""
    return {
        "row": row,
        "text": p.texts[row],
        "target": p.labels[p.targets[row]],
        "predicted": p.labels[p.predicted[row]],
        "score": float(p.scores[row]),
        "target_score": float(p.probabilities[row, p.targets[row]]),
    }
