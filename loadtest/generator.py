"""Measure the load generator's processor time and lag, which tell if a result shows the server or the generator."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.confidence import surely_above
from loadtest.recording import Recording

# Share of a core that the generator's busiest process may use. Beyond it, requests wait for one another to be sent.
BUSY = 0.9
# Lag that 1 % of the requests may exceed: this share of the p99 latency, or these seconds if they are more. On a shared
# machine, any process waits a few milliseconds for a core now and then.
LAG_SHARE = 0.1
LAG_SECONDS = 0.01
# Share of the median latency that the mean lag of a closed loop may reach. Locust handles the answers of a batch one
# after the other (64 users: 11 of 37 ms), which makes latencies look longer, never shorter.
CLOSED_LAG_SHARE = 0.5


def busy(cores: float) -> str | None:
    """Return a problem if a process of the generator used too much of a core, or None."""
    return f"a process of the load generator was busy for {cores:.0%} of the time" if cores > BUSY else None


@dataclass(frozen=True)
class LoadGenerator:
    """Each process's processor seconds per second (`cores`), and seconds behind schedule at random times (`lag`).

    In the open loop, the lag is how late each request was sent: Poisson arrivals see time averages (PASTA). In the
    `closed` loop, it is how late a process woke up from short sleeps.
    """

    cores: Sequence[float]
    lag: np.ndarray
    closed: bool = False

    def metrics(self) -> dict[str, float | int]:
        """Return the cores of all processes together and of the busiest, and the lag in milliseconds."""
        p50, p99 = np.percentile(self.lag, [50, 99]) if len(self.lag) else (0.0, 0.0)
        return {
            "processes": len(self.cores),
            "cores": round(sum(self.cores), 3),
            "busiest": round(max(self.cores, default=0.0), 3),
            "late_p50": round(1000 * float(p50), 3),
            "late_p99": round(1000 * float(p99), 3),
            "late_max": round(1000 * float(self.lag.max(initial=0)), 3),
        }

    def problems(self, p50: float, p99: float) -> list[str]:
        """Return why a run with these latencies, in seconds, is not valid; an empty list if it is."""
        problems = []
        if reason := busy(max(self.cores, default=0.0)):
            problems.append(f"{reason}: give it --processes")
        if reason := self._closed_lag(p50) if self.closed else self._open_lag(p99):
            problems.append(f"{reason}: give it a machine or cores of its own, or --processes")
        return problems

    def _closed_lag(self, p50: float) -> str | None:
        mean = float(self.lag.mean()) if len(self.lag) else 0.0
        if mean <= max(LAG_SECONDS, CLOSED_LAG_SHARE * p50):
            return None
        return f"the load generator was {1000 * mean:.0f} ms late on average, of {1000 * p50:.0f} ms measured"

    def _open_lag(self, p99: float) -> str | None:
        limit = max(LAG_SECONDS, LAG_SHARE * p99)
        count = int((self.lag > limit).sum())
        if not surely_above(count, len(self.lag), 0.01):
            return None
        share = count / len(self.lag)
        return f"the load generator was more than {1000 * limit:.0f} ms late for {share:.1%} of the requests"


@dataclass(frozen=True)
class Run:
    """The requests of a run, and the load generator that sent them; `origin` is its start in seconds since 1970."""

    recording: Recording
    generator: LoadGenerator
    origin: float


class Meter:
    """A meter of this process's processor time, from its creation until `stop`."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), _processor()
        self._stopped: float | None = None

    def stop(self) -> None:
        self._stopped = self.cores()

    def cores(self) -> float:
        """Return the processor seconds used per second."""
        if self._stopped is not None:
            return self._stopped
        return (_processor() - self._processor) / max(time.perf_counter() - self._wall, 1e-9)


def together(generators: Sequence[LoadGenerator]) -> LoadGenerator:
    """Combine the generators of several processes into one."""
    lag = np.concatenate([generator.lag for generator in generators])
    cores = [cores for generator in generators for cores in generator.cores]
    return LoadGenerator(cores, lag, any(generator.closed for generator in generators))


def _processor() -> float:
    times = os.times()
    return times.user + times.system
