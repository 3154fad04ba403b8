"""Divides a run into equal parts of time."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from loadtest.generator import Run
from loadtest.monitor import Reading
from loadtest.stages import Stage, load_at

MAX_PARTS = 120


@dataclass(frozen=True)
class Part:
    """Metrics from `second` on; a request belongs to the part in which it was to be sent, an answer to its own.

    `asked` and `answered` (rightly) are requests/s, `load` the users or the rate that was meant; latencies are in
    milliseconds; `padding` is a share of the tokens run, `machine` of all cores. None where there was nothing to
    measure.
    """

    second: float
    load: float | None
    asked: float
    answered: float
    failures: int
    p50: float | None
    p95: float | None
    p99: float | None
    batch_size: float | None
    padding: float | None
    server_cores: float | None
    server_mib: float | None
    machine: float | None


def timeline(run: Run, stages: Sequence[Stage], readings: Sequence[Reading]) -> list[Part]:
    """Return parts of a second, or longer ones where there would be more than `MAX_PARTS`."""
    seconds = sum(stage.seconds for stage in stages)
    width = max(1.0, float(np.ceil(seconds / MAX_PARTS)))
    return [_part(begin, min(begin + width, seconds), run, stages, readings) for begin in np.arange(0, seconds, width)]


def write_csv(parts: Sequence[Part], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Part)])
        writer.writeheader()
        writer.writerows(asdict(part) for part in parts)


def memory_growth(parts: Sequence[Part]) -> float | None:
    """Return how many MiB more the server had in the last quarter than in the first; None if that is not known."""
    quarter = max(1, len(parts) // 4)
    first, last = (_mean([part.server_mib for part in some]) for some in (parts[:quarter], parts[-quarter:]))
    return None if first is None or last is None else round(last - first, 1)


def _part(begin: float, end: float, run: Run, stages: Sequence[Stage], readings: Sequence[Reading]) -> Part:
    asked = run.recording.between(begin, end)
    right = asked.where(asked.right)
    done = run.recording.done[run.recording.right]
    inside = [reading for reading in readings if begin <= reading.time - run.origin < end]
    percentiles = [round(float(p), 3) for p in np.percentile(1000 * right.latency, (50, 95, 99))] if len(right) else []
    p50, p95, p99 = percentiles or (None, None, None)
    work = [reading.work for reading in inside if reading.work]
    return Part(
        second=float(begin),
        load=load_at(stages, begin),
        asked=round(len(asked) / (end - begin), 2),
        answered=round(int(((done >= begin) & (done < end)).sum()) / (end - begin), 2),
        failures=len(asked) - len(right),
        p50=p50,
        p95=p95,
        p99=p99,
        batch_size=_mean([one.batch_size for one in work]),
        padding=_mean([one.padding_share for one in work]),
        server_cores=_mean([reading.server_cores for reading in inside]),
        server_mib=_mean([reading.server_mib for reading in inside]),
        machine=_mean([reading.machine for reading in inside]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 4) if known else None
