"""Test verdicts on counted shares and their confidence intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from loadtest.confidence import (
    min_trials,
    percentile_interval,
    surely_above,
    surely_below,
    upper_limit,
)


@pytest.mark.parametrize("trials", [1, 20, 459, 30_000])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 1.0])
def test_verdicts_follow_the_binomial_distribution(trials: int, share: float) -> None:
    for count in sorted({0, 1, round(trials * share), trials // 2, trials}):
        below, above = stats.binom.cdf(count, trials, share), stats.binom.sf(count - 1, trials, share)
        assert surely_below(count, trials, share) == (below <= 0.01)
        assert surely_above(count, trials, share) == (above <= 0.01)


@pytest.mark.parametrize("trials", [1, 20, 459, 30_000])
def test_the_interval_of_a_percentile_ends_at_the_binomial_quantiles(trials: int) -> None:
    low, high = stats.binom.ppf([0.025, 0.975], trials, 0.99)
    values = np.arange(1.0, trials + 1)  # each value equals its rank
    assert percentile_interval(values, 0.99) == (max(low, 1), min(high + 1, trials))


@pytest.mark.parametrize(("count", "trials"), [(0, 459), (3, 1000), (10, 1000), (50, 3000)])
def test_the_upper_limit_is_that_of_clopper_and_pearson(count: int, trials: int) -> None:
    expected = stats.binomtest(count, trials, alternative="less").proportion_ci(0.99, method="exact").high
    assert upper_limit(count, trials) == pytest.approx(expected, abs=1e-6)
    assert upper_limit(trials, trials) == 1


def test_459_requests_without_a_slow_one_are_the_fewest_that_show_a_p99() -> None:
    assert min_trials(0.01) == 459
    assert surely_below(0, 459, 0.01)
    assert not surely_below(0, 458, 0.01)
    assert not surely_below(1, 459, 0.01)
    assert not surely_below(0, 0, 0.01)


def test_too_many_failures_are_told_apart_from_chance() -> None:
    assert surely_above(30, 1000, 0.01)
    assert not surely_above(12, 1000, 0.01)
    assert not surely_above(1, 20, 0.01)
    assert not surely_above(0, 0, 0.01)


def test_nineteen_of_twenty_intervals_hold_the_true_percentile() -> None:
    chance = np.random.default_rng(0)
    truth = -np.log(0.01)
    held = 0
    for _ in range(400):
        low, high = percentile_interval(chance.exponential(1, 3000), 0.99)
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.99
