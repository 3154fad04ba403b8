"""Measure how well a score predicts that its answer is right, and fit the temperature of answers' scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

CALIBRATION_BINS = 15
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.1, 10.0

Gaps = NDArray[np.float32]


@dataclass(frozen=True)
class CalibrationBin:
    """Rows whose top score lies in one of the equally wide intervals of (0, 1]."""

    rows: int
    confidence: float
    accuracy: float


def calibration_bins(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> list[CalibrationBin | None]:
    """Compare top scores [rows] with how often they are right [rows].

    Returns:
        `CALIBRATION_BINS` bins, lowest scores first; None for a bin without rows.
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    index = np.digitize(scores, edges[1:-1], right=True)
    return [
        CalibrationBin(int(chosen.sum()), float(scores[chosen].mean()), float(right[chosen].mean()))
        if (chosen := index == i).any()
        else None
        for i in range(CALIBRATION_BINS)
    ]


def expected_calibration_error(bins: list[CalibrationBin | None]) -> float:
    """Return the mean distance of confidence and accuracy, weighted by rows (Guo et al. 2017, arXiv:1706.04599)."""
    filled = [b for b in bins if b]
    return sum(b.rows * abs(b.confidence - b.accuracy) for b in filled) / sum(b.rows for b in filled)


def fit_temperature(gaps: Sequence[Gaps], right: NDArray[np.bool_]) -> float:
    """Return the temperature at which the scores, as probabilities of being right, have the lowest log loss.

    The likelihood of the reference's span is not used: several spans match a reference exactly, and a score predicts
    whether the answer matches, not whether it is the span that one person marked. The targets are those of Platt 1999,
    "Probabilistic outputs for support vector machines": few questions, or only right answers, give no extreme.

    Args:
        gaps: for each question, the logits of all possible answers, no answer included, less the chosen answer's.
        right: whether the chosen answer is right, [questions].
    """
    flat = np.concatenate(gaps).astype(np.float64)
    offsets = np.cumsum([0, *map(len, gaps[:-1])])
    hits = int(right.sum())
    targets = np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))

    def loss(logarithm: float) -> float:
        scores = 1 / np.add.reduceat(np.exp(flat / np.exp(logarithm)), offsets)
        scores = np.clip(scores, 1e-12, 1 - 1e-12)
        return float(-(targets * np.log(scores) + (1 - targets) * np.log1p(-scores)).mean())

    result = minimize_scalar(loss, bounds=(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)), method="bounded")
    return round(float(np.exp(result.x)), 4)
