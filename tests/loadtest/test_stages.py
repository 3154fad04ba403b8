"""Test loads that change over time, and requests that arrive at random."""

from __future__ import annotations

import numpy as np
import pytest

from loadtest.stages import SHAPES, Stage, arrivals, load_at, stages_of


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_takes_the_whole_time(shape: str) -> None:
    stages = stages_of(shape, 50, 100)
    assert sum(stage.seconds for stage in stages) == pytest.approx(50)
    assert load_at(stages, 0) == stages[0].load
    assert load_at(stages, 49.9) == stages[-1].load
    assert load_at(stages, 50) is None


def test_stairs_climb_to_the_load_and_a_spike_is_three_times_as_high() -> None:
    assert [stage.load for stage in stages_of("stairs", 10, 100)] == pytest.approx([20, 40, 60, 80, 100])
    assert [load_at(stages_of("spike", 10, 100), second) for second in (3.9, 4.1, 5.9, 6.1)] == [100, 300, 300, 100]


def test_arrivals_are_poisson_in_every_stage() -> None:
    times = arrivals([Stage(100, 50), Stage(100, 200)], np.random.default_rng(1))
    assert np.all(np.diff(times) >= 0)
    counts = np.histogram(times, bins=200, range=(0, 200))[0]
    for part, rate in ((counts[:100], 50), (counts[100:], 200)):
        assert part.mean() == pytest.approx(rate, rel=0.05)
        # A Poisson count's variance is its mean; evenly spaced requests would have none.
        assert part.var() == pytest.approx(rate, rel=0.5)


def test_the_number_of_requests_is_chance_too() -> None:
    counts = [len(arrivals([Stage(1, 100)], np.random.default_rng(seed))) for seed in range(300)]
    assert np.mean(counts) == pytest.approx(100, rel=0.03)
    assert np.var(counts) == pytest.approx(100, rel=0.4)


def test_another_seed_gives_other_arrivals_and_the_same_one_the_same() -> None:
    first, again, other = (arrivals([Stage(1, 100)], np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:10], other[:10])
