"""One rate, tried for long enough to know whether it keeps the bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np

from loadtest.confidence import CONFIDENCE, fewest_trials, surely_above, surely_below, upper_bound
from loadtest.generator import Run, together
from loadtest.recording import merged

SHARE = 0.01  # of requests that may be slower than the bound: it is one for the 99th percentile
# How often a rate is looked at before it counts as not shown; the looks share the chance of an error.
LOOKS = 6
GROWTH = 4  # of the seconds from look to look: a rate that is much too high shows in a few requests
CONFIDENCE_OF_A_LOOK = 1 - (1 - CONFIDENCE) / LOOKS
# With this many times the fewest requests that can show the bound, a few slow ones do not prevent it.
SPARE = 2

Verdict = Literal["kept", "missed", "not shown", "not valid"]
Send = Callable[[float, float, int], Run]  # rate, seconds and a number that makes the arrivals other ones


@dataclass(frozen=True)
class Point:
    """`p50` and `p99` in milliseconds of right answers, None without any; `slow` and `failures` count requests.

    `slow_at_most` is the share of slow or failed requests that the true one is not above, with `CONFIDENCE` over all
    looks.
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


def seconds_of_a_look(rate: float, least: float) -> float:
    return max(least, ceil(SPARE * fewest_trials(SHARE, CONFIDENCE_OF_A_LOOK) / rate))


def measure_point(send: Send, rate: float, bound: float, least: float, seed: int) -> Point:
    """Sends at `rate` for a look, and for others while the bound (in seconds) is neither kept nor missed for sure.

    The first look takes `least` seconds; the others take more where these bring too few requests. A failed request
    misses the bound.
    """
    runs: list[Run] = []
    passed = 0.0
    for look in range(LOOKS):
        seconds = min(least * GROWTH**look, seconds_of_a_look(rate, least))
        runs.append(send(rate, seconds, LOOKS * seed + look))
        passed += seconds
        point = judged(runs, rate, passed, bound)
        if point.verdict != "not shown":
            break
    return point


def judged(runs: list[Run], rate: float, seconds: float, bound: float) -> Point:
    """What these looks show together; the bound is in seconds."""
    recording, generator = merged([run.recording for run in runs]), together([run.generator for run in runs])
    requests, failures = len(recording), int((~recording.right).sum())
    slow = int((recording.latency[recording.right] > bound).sum())
    right = recording.latency[recording.right]
    p50, p99 = (float(value) for value in np.percentile(right, [50, 99])) if len(right) else (None, None)
    faults = generator.faults(p50 or 0.0, p99 or 0.0)
    verdict, why = _verdict(requests, slow, failures, "; ".join(faults))
    own = generator.figures()
    return Point(
        rate=round(rate, 2),
        seconds=seconds,
        requests=requests,
        slow=slow,
        failures=failures,
        p50=None if p50 is None else round(1000 * p50, 3),
        p99=None if p99 is None else round(1000 * p99, 3),
        slow_at_most=round(upper_bound(slow + failures, requests, CONFIDENCE_OF_A_LOOK), 5) if requests else 1.0,
        verdict=verdict,
        why=why,
        generator_cores=own["busiest"],
        generator_late_p99=own["late_p99"],
    )


def _verdict(requests: int, slow: int, failures: int, faults: str) -> tuple[Verdict, str]:
    if faults:
        return "not valid", faults
    if failures:
        return "missed", f"{failures} requests failed"
    of_all = f"{slow} of {requests} requests were slower"
    if surely_above(slow, requests, SHARE, CONFIDENCE_OF_A_LOOK):
        return "missed", of_all
    if surely_below(slow, requests, SHARE, CONFIDENCE_OF_A_LOOK):
        return "kept", of_all
    return "not shown", of_all
