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


@dataclass(frozen=True)
class Generator:
    """`cores` of each process: processor seconds a second; `late`: how many seconds it was behind, at random times.

    In the open loop these are how late each request was sent: Poisson arrivals see what is the case on average over
    time (PASTA). In the closed loop they are how much too late the process woke up from short sleeps.
    """

    cores: Sequence[float]
    late: np.ndarray

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

    def faults(self, p99: float) -> list[str]:
        """Why the run is not valid, beside its p99 latency in seconds; nothing where it is."""
        found = []
        if (busiest := max(self.cores, default=0.0)) > BUSY:
            found.append(f"a process of the load generator was busy for {busiest:.0%} of the time: give it --processes")
        limit = max(LATE_SECONDS, LATE_SHARE * p99)
        late = int((self.late > limit).sum())
        if surely_above(late, len(self.late), 0.01):
            found.append(
                f"the load generator was more than {1000 * limit:.0f} ms late for {late / len(self.late):.1%} of the "
                "time: give it a machine or cores of its own, or --processes"
            )
        return found


@dataclass(frozen=True)
class Run:
    """What was recorded and what that took; `origin` is the beginning, in seconds since the epoch."""

    recording: Recording
    generator: Generator
    origin: float


class Meter:
    """Processor time of this process from now on."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), _processor()

    def cores(self) -> float:
        return (_processor() - self._processor) / max(time.perf_counter() - self._wall, 1e-9)


def together(generators: Sequence[Generator]) -> Generator:
    """Of several processes."""
    late = np.concatenate([generator.late for generator in generators])
    return Generator([cores for generator in generators for cores in generator.cores], late)


def _processor() -> float:
    times = os.times()
    return times.user + times.system
