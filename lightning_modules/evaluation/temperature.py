"""One temperature for the scores of answers, so that they tell better how often the answers are right."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

LOWEST, HIGHEST = 0.1, 10.0

Gaps = NDArray[np.float32]


def fit_temperature(gaps: Sequence[Gaps], right: NDArray[np.bool_]) -> float:
    """The temperature at which the answers' scores have the lowest log loss as probabilities of being right.

    Not that of the likelihood of the reference's span: several spans match a reference exactly, and a score tells
    whether the answer does, not whether it is the span that one person marked. The targets are those of Platt 1999,
    "Probabilistic outputs for support vector machines": few questions, or only right ones, give no extreme.

    Args:
        gaps: of each question, the logits of all that might be answered, no answer too, less that of the answer given.
        right: whether the answer given is right, [questions].
    """
    flat = np.concatenate(gaps).astype(np.float64)
    begins = np.cumsum([0, *map(len, gaps[:-1])])
    hits = int(right.sum())
    targets = np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))

    def loss(logarithm: float) -> float:
        scores = 1 / np.add.reduceat(np.exp(flat / np.exp(logarithm)), begins)
        scores = np.clip(scores, 1e-12, 1 - 1e-12)
        return float(-(targets * np.log(scores) + (1 - targets) * np.log1p(-scores)).mean())

    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return round(float(np.exp(found.x)), 4)
