"""Fit the temperature of answers' scores: find a hidden one again, never an extreme one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lightning_modules.evaluation.calibration import fit_temperature


def questions(count: int, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Logits of spans less the highest, of different numbers of spans and of different certainty."""
    logits = [rng.normal(0, rng.uniform(0.5, 4), rng.integers(2, 200)).astype(np.float32) for _ in range(count)]
    return [values - values.max() for values in logits]


def scores(gaps: list[NDArray[np.float32]], temperature: float) -> NDArray[np.float64]:
    return np.array([1 / np.exp(values / temperature).sum(dtype=np.float64) for values in gaps])


@pytest.mark.parametrize("hidden", [0.5, 1.0, 2.0])
def test_the_temperature_that_answers_were_drawn_with_is_found(hidden: float) -> None:
    rng = np.random.default_rng(0)
    gaps = questions(4000, rng)
    right = rng.random(len(gaps)) < scores(gaps, hidden)
    assert fit_temperature(gaps, right) == pytest.approx(hidden, rel=0.1)


def test_the_order_of_questions_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    gaps = questions(50, rng)
    right = rng.random(50) < 0.5
    assert fit_temperature(gaps[::-1], right[::-1]) == pytest.approx(fit_temperature(gaps, right), abs=1e-3)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("count", [1, 20])
def test_a_few_questions_all_alike_give_no_certainty(right: bool, count: int) -> None:
    gaps = [np.array([0, -1, -2], np.float32)] * count
    score = scores(gaps, fit_temperature(gaps, np.full(count, right)))[0]
    # The lowest that three spans can have is a third.
    assert score == pytest.approx((count + 1) / (count + 2) if right else 1 / 3, abs=0.05)
