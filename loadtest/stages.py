"""Shapes the load over time: users that wait for their answers, or requests a second that arrive by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Stages as (share of the duration, share of the load); a soak is steady for long, and watched for growth of memory.
SHAPES = {
    "steady": ((1.0, 1.0),),
    "stairs": tuple((0.2, step / 5) for step in range(1, 6)),
    "spike": ((0.4, 1.0), (0.2, 3.0), (0.4, 1.0)),
    "soak": ((1.0, 1.0),),
}


@dataclass(frozen=True)
class Stage:
    """A time of constant `load`, in users or in requests/s."""

    seconds: float
    load: float


def stages_of(shape: str, seconds: float, load: float) -> list[Stage]:
    return [Stage(of_seconds * seconds, of_load * load) for of_seconds, of_load in SHAPES[shape]]


def load_at(stages: Sequence[Stage], second: float) -> float | None:
    """Return the load of the stage that runs at `second`; None after the last one."""
    for stage in stages:
        if second < stage.seconds:
            return stage.load
        second -= stage.seconds
    return None


def arrivals(stages: Sequence[Stage], rng: np.random.Generator) -> np.ndarray:
    """Draw arrival times in seconds, rising: a Poisson process with each stage's load as its rate.

    Given their number, the arrivals of a Poisson process are uniform and independent (Kingman, Poisson Processes, 2.4).
    """
    starts = np.cumsum([0.0, *(stage.seconds for stage in stages)])
    return np.concatenate(
        [
            start + np.sort(rng.uniform(0, stage.seconds, rng.poisson(stage.load * stage.seconds)))
            for start, stage in zip(starts, stages, strict=False)
        ]
    )
