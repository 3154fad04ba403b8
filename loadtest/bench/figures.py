"""Medians and ranges over the repeats, and the ratios between set-ups, turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from loadtest.bench.closed_loop import Measurement
from loadtest.bench.measure import Results, Turns
from loadtest.bench.setups import BUNDLE

RANGED = ("requests_per_second", "p50", "p95", "p99", "generator_cores")
COUNTED = ("requests", "failures")


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 4), "min": min(values), "max": max(values)}


def figures(results: Results) -> dict[str, Any]:
    """What the JSON keeps of one model."""
    return {
        "archive_bytes": results.archive_bytes,
        "worker_memory_mib": results.memory,
        "texts": {kind: of_turns(turns) for kind, turns in results.texts.items()},
    }


def of_turns(turns: Turns) -> dict[str, Any]:
    """Ratios are the bundle's requests/s to the others', each at its most clients."""
    rates = {name: _rates(by_clients[max(by_clients)]) for name, by_clients in turns.setups.items()}
    own = rates.pop(BUNDLE)
    others = {"bound": turns.bound} | rates
    ratios = {
        name: spread([round(mine / other, 4) for mine, other in zip(own, theirs, strict=True)])
        for name, theirs in others.items()
    }
    return {
        "work": asdict(turns.work),
        "bound": {"requests_per_second": spread(turns.bound)},
        "setups": {
            name: {str(clients): of_repeats(repeats) for clients, repeats in by_clients.items()}
            for name, by_clients in turns.setups.items()
        },
        "ratios": {"clients": max(turns.setups[BUNDLE]), f"{BUNDLE} to": ratios},
    }


def of_repeats(repeats: Sequence[Measurement]) -> dict[str, Any]:
    """One measurement made several times: medians with ranges, and sums of what is counted."""
    rows = [asdict(measurement) for measurement in repeats]
    ranged = {name: spread([row[name] for row in rows]) for name in RANGED}
    return ranged | {name: sum(row[name] for row in rows) for name in COUNTED}


def _rates(repeats: Sequence[Measurement]) -> list[float]:
    return [measurement.requests_per_second for measurement in repeats]
