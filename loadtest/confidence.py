"""How sure a share that was counted is, by the exact binomial distribution."""

from __future__ import annotations

import math

import numpy as np

# As in the early stopping of MLPerf's LoadGen: the bound is kept, or is not, but for one chance in a hundred.
CONFIDENCE = 0.99


def at_most(count: int, trials: int, share: float) -> float:
    """The chance that no more than `count` of independent `trials` happen, each with the chance `share`."""
    if count < 0:
        return 0.0
    if count >= trials or share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    places = np.arange(count + 1)
    # The terms' ratios add up in logarithms: no factorial is too large.
    steps = np.log((trials - places[:-1]) / (places[:-1] + 1)) + math.log(share) - math.log1p(-share)
    logarithms = trials * math.log1p(-share) + np.concatenate(([0.0], np.cumsum(steps)))
    return float(min(1.0, np.exp(logarithms).sum()))


def surely_below(count: int, trials: int, share: float, confidence: float = CONFIDENCE) -> bool:
    """Whether `count` of `trials` would be too few, were the true share `share` or more."""
    return trials > 0 and at_most(count, trials, share) <= 1 - confidence


def surely_above(count: int, trials: int, share: float, confidence: float = CONFIDENCE) -> bool:
    """Whether `count` of `trials` would be too many, were the true share `share` or less."""
    return 1 - at_most(count - 1, trials, share) <= 1 - confidence


def upper_bound(count: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The share that the true one is not above (Clopper and Pearson, 1934, one-sided)."""
    if count >= trials:
        return 1.0
    low, high = count / trials, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if at_most(count, trials, middle) <= 1 - confidence else (middle, high)
    return high


def fewest_trials(share: float, confidence: float = CONFIDENCE) -> int:
    """How many trials without a single event show that the true share is below `share`: 459 for 1 % at 99 %."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-share))


def percentile_interval(values: np.ndarray, share: float, confidence: float = 0.95) -> tuple[float, float]:
    """Between which of the values the true percentile is; the highest of them where they are too few to tell.

    By order statistics: as many values lie below the percentile as a binomial distribution gives.
    """
    ordered, trials = np.sort(values), len(values)
    tail = (1 - confidence) / 2
    low = _quantile(tail, trials, share)
    high = _quantile(1 - tail, trials, share) + 1
    return float(ordered[max(low - 1, 0)]), float(ordered[min(high, trials) - 1])


def _quantile(chance: float, trials: int, share: float) -> int:
    """The least count that no more than it happen with at least this chance."""
    low, high = -1, trials
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if at_most(middle, trials, share) >= chance else (middle, high)
    return high
