"""Tries one rate for long enough to know if it keeps the limit of the p99."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np

from loadtest.confidence import CONFIDENCE, min_trials, surely_above, surely_below, upper_limit
from loadtest.generator import Run, together
from loadtest.recording import merged

SHARE = 0.01  # of requests that may be slower than the limit: then it is one of the 99th percentile
# Looks at a rate before it counts as not shown; they share the chance of an error, so that each has to be surer.
LOOKS = 6
CONFIDENCE_OF_A_LOOK = 1 - (1 - CONFIDENCE) / LOOKS
GROWTH = 4  # of the seconds from look to look: a rate that is much too high shows in a few requests
# Multiple of the fewest requests that can show the limit: with it a few slow ones do not prevent that.
SPARE = 2

Verdict = Literal["kept", "missed", "not shown", "not valid"]
Send = Callable[[float, float, int], Run]  # rate, seconds and a seed of the arrivals


@dataclass(frozen=True)
class Point:
    """Metrics and verdict of a rate: `p50` and `p99` in milliseconds of right answers, None without any.

    `slow` and `failures` count requests; `slow_at_most` is the share of slow or failed requests that the true one does
    not exceed, with `CONFIDENCE` over all looks.
    """

    rate: float
    seconds: float
    requests: int
    slow: int
    failures: int
    p50: float | None
    p99: float | None
    slow_at_most: float
    verdict: Verdict
    why: str
    generator_cores: float
    generator_late_p99: float


def seconds_of_a_look(rate: float, min_seconds: float) -> float:
    return max(min_seconds, ceil(SPARE * min_trials(SHARE, CONFIDENCE_OF_A_LOOK) / rate))


def measure_point(send: Send, rate: float, limit: float, min_seconds: float, seed: int) -> Point:
    """Send at `rate` for a look, and for others while it is not sure if the limit (in seconds) is kept or missed.

    The first look takes `min_seconds`; the others take more where these bring too few requests. A failed request misses
    the limit.
    """
    runs: list[Run] = []
    passed = 0.0
    for look in range(LOOKS):
        seconds = min(min_seconds * GROWTH**look, seconds_of_a_look(rate, min_seconds))
        runs.append(send(rate, seconds, LOOKS * seed + look))
        passed += seconds
        point = assess(runs, rate, passed, limit)
        if point.verdict != "not shown":
            break
    return point


def assess(runs: Sequence[Run], rate: float, seconds: float, limit: float) -> Point:
    """Return what these looks show together; the limit is in seconds."""
    recording, generator = merged([run.recording for run in runs]), together([run.generator for run in runs])
    requests, failures = len(recording), int((~recording.right).sum())
    right = recording.latency[recording.right]
    slow = int((right > limit).sum())
    p50, p99 = (float(value) for value in np.percentile(right, [50, 99])) if len(right) else (None, None)
    verdict, why = _verdict(requests, slow, failures, generator.problems(p50 or 0.0, p99 or 0.0))
    used = generator.metrics()
    return Point(
        rate=round(rate, 2),
        seconds=seconds,
        requests=requests,
        slow=slow,
        failures=failures,
        p50=None if p50 is None else round(1000 * p50, 3),
        p99=None if p99 is None else round(1000 * p99, 3),
        slow_at_most=round(upper_limit(slow + failures, requests, CONFIDENCE_OF_A_LOOK), 5) if requests else 1.0,
        verdict=verdict,
        why=why,
        generator_cores=used["busiest"],
        generator_late_p99=used["late_p99"],
    )


def _verdict(requests: int, slow: int, failures: int, problems: Sequence[str]) -> tuple[Verdict, str]:
    if problems:
        return "not valid", "; ".join(problems)
    if failures:
        return "missed", f"{failures} requests failed"
    counts = f"{slow} of {requests} requests were slower"
    if surely_above(slow, requests, SHARE, CONFIDENCE_OF_A_LOOK):
        return "missed", counts
    if surely_below(slow, requests, SHARE, CONFIDENCE_OF_A_LOOK):
        return "kept", counts
    return "not shown", counts
