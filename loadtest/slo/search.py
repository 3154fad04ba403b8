"""Brackets the highest rate that keeps the bound, halves the bracket, and confirms what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt

from loadtest.slo.point import Point

STEP = 1.5
# The bracket's upper end is at most this many times its lower one.
PRECISION = 1.05
LOWEST_RATE = 2.0  # that takes ten minutes to be shown

Try = Callable[[float], Point]


@dataclass
class Search:
    """`best` is the confirmed point, None where no rate was; `points` are all, in the order they were tried.

    `limited_by_generator`: a higher rate (without `best`: the last one) could not be tried, because the load generator
    was too slow for it.
    """

    points: list[Point] = field(default_factory=list)
    best: Point | None = None
    limited_by_generator: bool = False


def search(attempt: Try, first: float, report: Callable[[Point, str], None]) -> Search:
    """Tries `first` (requests/s) and from there higher or lower rates; a rate that is not shown to keep counts as one
    that does not.

    Requests that wait in the same queue are slow together, which the confidence of a single point does not know of:
    what the search finds has to keep the bound again, with other arrivals.
    """
    found = Search()
    first = max(first, LOWEST_RATE)
    low, high = _bracket(attempt, first, report, found)
    while low is not None and high / low > PRECISION:
        middle = sqrt(low * high)
        if _keeps(attempt, middle, report, found, "halving"):
            low = middle
        else:
            high = middle
    step = PRECISION
    while low is not None and low >= LOWEST_RATE and found.best is None:
        if _keeps(attempt, low, report, found, "confirming"):
            found.best = found.points[-1]
        else:
            high, low, step = low, low / step, step * step  # luck was nearer than a step: they grow
    above = [point.verdict for point in found.points if point.rate >= round(high, 2)]
    found.limited_by_generator = (
        "not valid" in above and not {"missed", "not shown"} & set(above)
        if found.best
        else found.points[-1].verdict == "not valid"
    )
    return found


def _bracket(
    attempt: Try, first: float, report: Callable[[Point, str], None], found: Search
) -> tuple[float | None, float]:
    """A rate that keeps the bound, None where there is none, and a higher one that does not."""
    if _keeps(attempt, first, report, found, "bracketing"):
        low = first
        while _keeps(attempt, low * STEP, report, found, "bracketing"):
            low *= STEP
        return low, low * STEP
    high, step = first, STEP
    while high > LOWEST_RATE:
        low = max(high / step, LOWEST_RATE)
        if _keeps(attempt, low, report, found, "bracketing"):
            return low, high
        high, step = low, step * step  # each step down is larger: the first rate may be far off
    return None, high


def _keeps(attempt: Try, rate: float, report: Callable[[Point, str], None], found: Search, why: str) -> bool:
    """A point that is not valid is tried once more: a machine may be busy for a moment."""
    for _ in range(2):
        point = attempt(rate)
        found.points.append(point)
        report(point, why)
        if point.verdict != "not valid":
            break
    return point.verdict == "kept"
