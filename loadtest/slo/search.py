"""Searches the highest rate that keeps the limit: brackets it, halves the bracket, and confirms the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt

from loadtest.slo.point import Point

STEP = 1.5
# Ratio of the bracket's ends at which the search stops.
PRECISION = 1.05
LOWEST_RATE = 2.0  # that takes ten minutes to be shown


@dataclass
class Search:
    """The points tried, in order, and the confirmed one (`best`), None if there is none.

    `limited_by_generator`: a higher rate (without `best`: the last one) could not be tried, because the load generator
    was too slow for it.
    """

    points: list[Point] = field(default_factory=list)
    best: Point | None = None
    limited_by_generator: bool = False


def search(attempt: Callable[[float], Point], first: float, report: Callable[[Point, str], None]) -> Search:
    """Try `first` (requests/s) and from there higher or lower rates; one that is not shown to keep counts as too high.

    Requests that wait in the same queue are slow together, which the confidence of a single point does not know of: the
    result of the search has to keep the limit again, with other arrivals.
    """
    result = Search()

    def keeps(rate: float, why: str) -> bool:
        for _ in range(2):  # a machine may be busy for a moment: a point that is not valid is tried once more
            point = attempt(rate)
            result.points.append(point)
            report(point, why)
            if point.verdict != "not valid":
                break
        return point.verdict == "kept"

    low, high = _bracket(lambda rate: keeps(rate, "bracketing"), max(first, LOWEST_RATE))
    while low is not None and high / low > PRECISION:
        middle = sqrt(low * high)
        low, high = (middle, high) if keeps(middle, "halving") else (low, middle)
    step = PRECISION
    while low is not None and low >= LOWEST_RATE and result.best is None:
        if keeps(low, "confirming"):
            result.best = result.points[-1]
        else:
            high, low, step = low, low / step, step * step  # luck was nearer than a step: they grow
    above = {point.verdict for point in result.points if point.rate >= round(high, 2)}
    result.limited_by_generator = (
        "not valid" in above and not {"missed", "not shown"} & above
        if result.best
        else result.points[-1].verdict == "not valid"
    )
    return result


def _bracket(keeps: Callable[[float], bool], first: float) -> tuple[float | None, float]:
    """Return a rate that keeps the limit, None if there is none, and a higher one that does not."""
    if keeps(first):
        low = first
        while keeps(low * STEP):
            low *= STEP
        return low, low * STEP
    high, step = first, STEP
    while high > LOWEST_RATE:
        low = max(high / step, LOWEST_RATE)
        if keeps(low):
            return low, high
        high, step = low, step * step  # each step down is larger: the first rate may be far off
    return None, high
