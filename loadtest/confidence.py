"""Confidence in a share that was counted, by the exact binomial distribution."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtr, bdtrik, betaincinv  # what scipy.stats.binom calls; that takes a second to import

# Confidence of a verdict, as in the early stopping of MLPerf's LoadGen: one in a hundred may be wrong.
CONFIDENCE = 0.99


def surely_below(count: int, trials: int, share: float, confidence: float = CONFIDENCE) -> bool:
    """Return True where `count` of `trials` would be too few if the true share were `share` or more."""
    return trials > 0 and bool(bdtr(count, trials, share) <= 1 - confidence)


def surely_above(count: int, trials: int, share: float, confidence: float = CONFIDENCE) -> bool:
    """Return True where `count` of `trials` would be too many if the true share were `share` or less."""
    return count > 0 and bool(1 - bdtr(count - 1, trials, share) <= 1 - confidence)


def upper_limit(count: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the share that the true one does not exceed (Clopper and Pearson, 1934, one-sided)."""
    return 1.0 if count >= trials else float(betaincinv(count + 1, trials - count, confidence))


def min_trials(share: float, confidence: float = CONFIDENCE) -> int:
    """Return how many trials without an event show that the true share is below `share`: 459 for 1 % at 99 %."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-share))


def percentile_interval(values: np.ndarray, share: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return two of the values between which the true percentile lies; the highest of them where there are too few.

    As many values lie below the percentile as a binomial distribution gives (order statistics).
    """
    ordered, trials = np.sort(values), len(values)
    tail = (1 - confidence) / 2
    low, high = _quantile(tail, trials, share), _quantile(1 - tail, trials, share) + 1
    return float(ordered[max(low - 1, 0)]), float(ordered[min(high, trials) - 1])


def _quantile(chance: float, trials: int, share: float) -> int:
    """Return the smallest count that is not exceeded with at least this chance."""
    count = max(math.ceil(bdtrik(chance, trials, share)), 0)
    return count - 1 if count and bdtr(count - 1, trials, share) >= chance else count
