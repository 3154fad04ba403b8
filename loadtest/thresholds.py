"""Summarises a load test and holds its limits against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from loadtest.confidence import percentile_interval
from loadtest.recording import Recording

PERCENTILES = (50, 95, 99, 99.9, 100)


@dataclass(frozen=True)
class Summary:
    """Metrics of a load test: exact latencies of right answers in milliseconds; `failures` count wrong answers too.

    `requests_per_second` counts right answers that came within the run; `p99_interval` holds the true p99 in 19 of 20
    runs, if requests were independent; `errors` maps what went wrong to how often it did; `growth_mib` is how much more
    memory the server had in the last quarter than in the first. None: no right answer, or not known.
    """

    requests: int
    failures: int
    requests_per_second: float
    p50: float | None
    p95: float | None
    p99: float | None
    p999: float | None
    longest: float | None
    p99_interval: tuple[float, float] | None
    errors: Mapping[str, int]
    growth_mib: float | None = None


def summarise(recording: Recording, seconds: float) -> Summary:
    """Summarise a run that took requests for so many seconds."""
    right = recording.where(recording.right)
    latencies = 1000 * right.latency
    p50, p95, p99, p999, longest = (
        [round(float(value), 3) for value in np.percentile(latencies, PERCENTILES)]
        if len(right)
        else (None, None, None, None, None)
    )
    return Summary(
        requests=len(recording),
        failures=len(recording) - len(right),
        requests_per_second=round(int((right.done <= seconds).sum()) / seconds, 2),
        p50=p50,
        p95=p95,
        p99=p99,
        p999=p999,
        longest=longest,
        p99_interval=_rounded(*percentile_interval(latencies, 0.99)) if len(right) else None,
        errors=recording.errors(),
    )


@dataclass(frozen=True)
class Thresholds:
    """Limits: `p99` in milliseconds, `max_failures` as a share of all requests, `max_growth` in MiB; None: no limit."""

    max_failures: float = 0.0
    p99: float | None = None
    min_rps: float | None = None
    max_growth: float | None = None

    def failed(self, summary: Summary) -> list[str]:
        """Return a line for each limit that was not kept; a run without any request keeps none."""
        if not summary.requests:
            return ["no request was answered"]
        lines = []
        if summary.failures > self.max_failures * summary.requests:
            share = summary.failures / summary.requests
            of_all = f"{summary.failures} of {summary.requests} ({share:.2%})"
            lines.append(f"failures: {of_all}, the limit is {self.max_failures:.2%}")
        if self.p99 is not None and (summary.p99 is None or summary.p99 > self.p99):
            measured = "no right answer" if summary.p99 is None else f"{summary.p99:g} ms"
            lines.append(f"p99: {measured}, the limit is {self.p99:g} ms")
        if self.min_rps is not None and summary.requests_per_second < self.min_rps:
            lines.append(f"requests/s: {summary.requests_per_second:.1f}, the limit is {self.min_rps:g}")
        if self.max_growth is not None and (summary.growth_mib is None or summary.growth_mib > self.max_growth):
            measured = "not known" if summary.growth_mib is None else f"{summary.growth_mib:g} MiB"
            lines.append(f"growth of the server's memory: {measured}, the limit is {self.max_growth:g} MiB")
        return lines


def _rounded(low: float, high: float) -> tuple[float, float]:
    return round(low, 3), round(high, 3)
