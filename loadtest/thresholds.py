"""The result of a load test, and the limits it has to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """Latencies in milliseconds, as Locust rounds them; `failures` count wrong answers too.

    `errors` maps what went wrong to how often it did.
    """

    requests: int
    failures: int
    requests_per_second: float
    p50: float
    p95: float
    p99: float
    errors: Mapping[str, int]


@dataclass(frozen=True)
class Thresholds:
    """`p99` in milliseconds; `max_failures` as a share of all requests; None: no limit."""

    max_failures: float = 0.0
    p99: float | None = None
    min_rps: float | None = None

    def failed(self, summary: Summary) -> list[str]:
        """One line for each limit that was not kept; a run without any request keeps none."""
        if not summary.requests:
            return ["no request was answered"]
        lines = []
        if summary.failures > self.max_failures * summary.requests:
            share = summary.failures / summary.requests
            of_all = f"{summary.failures} of {summary.requests} ({share:.2%})"
            lines.append(f"failures: {of_all}, the limit is {self.max_failures:.2%}")
        if self.p99 is not None and summary.p99 > self.p99:
            lines.append(f"p99: {summary.p99:g} ms, the limit is {self.p99:g} ms")
        if self.min_rps is not None and summary.requests_per_second < self.min_rps:
            lines.append(f"requests/s: {summary.requests_per_second:.1f}, the limit is {self.min_rps:g}")
        return lines
