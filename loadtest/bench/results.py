"""Summarises a benchmark: medians and ranges over the repeats, and ratios between variants, turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from loadtest.bench.variants import BUNDLE
from loadtest.closed_loop import Measurement

RANGED = ("requests_per_second", "p50", "p95", "p99", "generator_cores")
COUNTED = ("requests", "failures")


@dataclass(frozen=True)
class Work:
    """Requests as the model sees them: a row is a text, or a window of a context; tokens are without padding."""

    requests: int
    rows: int
    tokens: int


@dataclass
class Turns:
    """Measurements of one kind of texts, an entry a repeat: the upper bound in requests/s, and variants by clients."""

    work: Work
    upper_bound: list[float] = field(default_factory=list)
    variants: dict[str, dict[int, list[Measurement]]] = field(default_factory=dict)


@dataclass
class Results:
    """Measurements of one model: `texts` by the name of their lengths; `archive_bytes` is the bundle's.

    `memory` is the peak of each variant's largest worker seen after a measurement, in MiB.
    """

    archive_bytes: int
    texts: dict[str, Turns]
    memory: dict[str, dict[str, float]] = field(default_factory=dict)

    def metrics(self) -> dict[str, Any]:
        """Return what the JSON holds of the model."""
        return {
            "archive_bytes": self.archive_bytes,
            "worker_memory_mib": self.memory,
            "texts": {kind: _of_turns(turns) for kind, turns in self.texts.items()},
        }


def of_repeats(repeats: Sequence[Measurement]) -> dict[str, Any]:
    """Return medians with ranges, and sums of counts, of one measurement that was made several times."""
    rows = [asdict(measurement) for measurement in repeats]
    ranged = {name: spread([row[name] for row in rows]) for name in RANGED}
    return ranged | {name: sum(row[name] for row in rows) for name in COUNTED}


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 4), "min": min(values), "max": max(values)}


def _of_turns(turns: Turns) -> dict[str, Any]:
    """Ratios are the bundle's requests/s to the others', each with its highest number of clients."""
    rates = {
        name: [one.requests_per_second for one in by_clients[max(by_clients)]]
        for name, by_clients in turns.variants.items()
    }
    bundle = rates.pop(BUNDLE)
    ratios = {
        name: spread([round(mine / theirs, 4) for mine, theirs in zip(bundle, others, strict=True)])
        for name, others in ({"upper_bound": turns.upper_bound} | rates).items()
    }
    return {
        "work": asdict(turns.work),
        "upper_bound": {"requests_per_second": spread(turns.upper_bound)},
        "variants": {
            name: {str(clients): of_repeats(repeats) for clients, repeats in by_clients.items()}
            for name, by_clients in turns.variants.items()
        },
        "ratios": {"clients": max(turns.variants[BUNDLE]), "bundle_to": ratios},
    }
