"""How well a score tells how often the answer is right."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class CalibrationBin:
    """Rows whose top score lies in one of the equally wide intervals of (0, 1]."""

    rows: int
    confidence: float
    accuracy: float


def calibration_bins(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> list[CalibrationBin | None]:
    """Top scores [rows] against how often they are right [rows], in `CALIBRATION_BINS` bins, lowest first.

    None stands for a bin without rows.
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
    """Mean distance between confidence and accuracy, weighted by rows (Guo et al. 2017, arXiv:1706.04599)."""
    filled = [b for b in bins if b]
    return sum(b.rows * abs(b.confidence - b.accuracy) for b in filled) / sum(b.rows for b in filled)
