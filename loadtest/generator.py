"""What the load generator itself did, and whether the figures are the server's or its own."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.confidence import surely_above
from loadtest.recording import Recording

# Of one core, by the busiest process of the generator: beyond it requests wait for each other to be sent.
BUSY = 0.9
# Lateness of 1 % of the requests that makes a run invalid: a share of the p99 latency, or this where that is more.
# Any process of a shared machine waits some milliseconds for a core now and then.
LATE_SHARE = 0.1
LATE_SECONDS = 0.01
# In the closed loop, mean lateness as a share of the median latency. Locust handles the answers of a batch one after
# the other (64 users: 11 of 37 ms), which makes latencies look longer, never shorter.
CLOSED_LATE_SHARE = 0.5


def busy(cores: float) -> str | None:
    """What is wrong where a process of the generator took so many cores; None where nothing is."""
    return f"a process of the load generator was busy for {cores:.0%} of the time" if cores > BUSY else None


@dataclass(frozen=True)
class Generator:
    """`cores` of each process: processor seconds a second; `late`: how many seconds it was behind, at random times.

    In the open loop these are how late each request was sent: Poisson arrivals see what is the case on average over
    time (PASTA). In the closed loop they are how much too late the process woke up from short sleeps.
    """

    cores: Sequence[float]
    late: np.ndarray
    closed: bool = False

    def figures(self) -> dict[str, float | int]:
        """Milliseconds; cores of all processes together and of the busiest."""
        p50, p99 = np.percentile(self.late, [50, 99]) if len(self.late) else (0.0, 0.0)
        return {
            "processes": len(self.cores),
            "cores": round(sum(self.cores), 3),
            "busiest": round(max(self.cores, default=0.0), 3),
            "late_p50": round(1000 * float(p50), 3),
            "late_p99": round(1000 * float(p99), 3),
            "late_max": round(1000 * float(self.late.max(initial=0)), 3),
        }

    def faults(self, p50: float, p99: float) -> list[str]:
        """Why the run is not valid, beside its latencies in seconds; nothing where it is."""
        found = []
        if fault := busy(max(self.cores, default=0.0)):
            found.append(f"{fault}: give it --processes")
        if late := self._late_of_closed(p50) if self.closed else self._late_of_open(p99):
            found.append(f"{late}: give it a machine or cores of its own, or --processes")
        return found

    def _late_of_closed(self, p50: float) -> str | None:
        mean = float(self.late.mean()) if len(self.late) else 0.0
        if mean <= max(LATE_SECONDS, CLOSED_LATE_SHARE * p50):
            return None
        return f"the load generator was {1000 * mean:.0f} ms late on average, of {1000 * p50:.0f} ms measured"

    def _late_of_open(self, p99: float) -> str | None:
        limit = max(LATE_SECONDS, LATE_SHARE * p99)
        late = int((self.late > limit).sum())
        if not surely_above(late, len(self.late), 0.01):
            return None
        share = late / len(self.late)
        return f"the load generator was more than {1000 * limit:.0f} ms late for {share:.1%} of the requests"


@dataclass(frozen=True)
class Run:
    """What was recorded and what that took; `origin` is the beginning, in seconds since the epoch."""

    recording: Recording
    generator: Generator
    origin: float


class Meter:
    """Processor time of this process from now on, until it is stopped."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), _processor()
        self._stopped: float | None = None

    def stop(self) -> None:
        self._stopped = self.cores()

    def cores(self) -> float:
        """Processor seconds a second."""
        if self._stopped is not None:
            return self._stopped
        return (_processor() - self._processor) / max(time.perf_counter() - self._wall, 1e-9)


def together(generators: Sequence[Generator]) -> Generator:
    """Of several processes."""
    late = np.concatenate([generator.late for generator in generators])
    return Generator([cores for generator in generators for cores in generator.cores], late)


def _processor() -> float:
    times = os.times()
    return times.user + times.system
