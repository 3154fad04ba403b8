"""Medians and ranges over the repeats, and the ratios between set-ups, turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from loadtest.bench.closed_loop import Measurement
from loadtest.bench.measure import Results
from loadtest.bench.setups import BUNDLE

RANGED = ("requests_per_second", "p50", "p95", "p99", "generator_cores")
COUNTED = ("requests", "failures")


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 4), "min": min(values), "max": max(values)}


def figures(results: Results) -> dict[str, Any]:
    """What the JSON keeps of one model; ratios are the bundle's requests/s to the others', each at its most clients."""
    rates = {name: _rates(by_clients[max(by_clients)]) for name, by_clients in results.setups.items()}
    own = rates.pop(BUNDLE)
    others = {"bound": results.bound} | rates
    ratios = {
        name: spread([round(mine / other, 4) for mine, other in zip(own, theirs, strict=True)])
        for name, theirs in others.items()
    }
    return {
        "archive_bytes": results.archive_bytes,
        "work": asdict(results.work),
        "worker_memory_mib": results.memory,
        "bound": {"requests_per_second": spread(results.bound)},
        "setups": {
            name: {str(clients): _of_repeats(repeats) for clients, repeats in by_clients.items()}
            for name, by_clients in results.setups.items()
        },
        "ratios": {"clients": max(results.setups[BUNDLE]), f"{BUNDLE} to": ratios},
    }


def _of_repeats(repeats: Sequence[Measurement]) -> dict[str, Any]:
    rows = [asdict(measurement) for measurement in repeats]
    ranged = {name: spread([row[name] for row in rows]) for name in RANGED}
    return ranged | {name: sum(row[name] for row in rows) for name in COUNTED}


def _rates(repeats: Sequence[Measurement]) -> list[float]:
    return [measurement.requests_per_second for measurement in repeats]
