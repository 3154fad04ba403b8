"""Measures how a served model's requests/s and latencies change with one thing, the others as they usually are.

Usually 64 clients send golden requests to one model with a worker on every core. Contexts are the exception: one client
asks one worker, and the shortest contexts come first, as memory that they take could not be seen after longer ones.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from loadtest.bench.archive import pack_as, unpack
from loadtest.bench.measure import Timing, in_its_own_process, line, rows_of, work_of
from loadtest.bench.results import of_repeats
from loadtest.bench.server import serving
from loadtest.bench.texts import contexts_of, max_tokens, of_tokens
from loadtest.samples import Sample, read_golden, read_labels
from loadtest.target import Target
from loadtest.workload import RequestSet

CLIENTS = 64
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# Names of the sweeps with the axis that people read.
AXES = {
    "workers": "workers",
    "clients": "clients",
    "tokens": "tokens of a text or context",
    "models": "models served at once",
    "contexts": "words of a context",
}


@dataclass(frozen=True)
class Case:
    """One value of a sweep: who sends what to which server; `copies` of the archive are served at once, 0: itself."""

    value: int
    samples: list[Sample] = field(repr=False)
    clients: int = CLIENTS
    workers: str = "auto"
    copies: int = 0

    @property
    def server(self) -> tuple[str, int]:
        """Cases with the same server follow each other on it."""
        return self.workers, self.copies


def default_values(name: str) -> list[int]:
    """Return the values of a sweep if none are asked for; workers double up to the cores."""
    return {
        "workers": doubled(CORES),
        "clients": [1, 4, 16, 64, 256, 512],
        "tokens": [8, 16, 32, 64, 128, 256, 512],
        "models": [1, 2, 3, 4],
        "contexts": [250, 500, 1000, 2000],
    }[name]


def doubled(limit: int) -> list[int]:
    """Return 1, 2, 4, … and `limit`."""
    return sorted({min(2**power, limit) for power in range(limit.bit_length() + 1)})


def cases_of(name: str, values: Sequence[int], folder: Path, golden: list[Sample]) -> list[Case]:
    """Return the cases of a sweep in rising order for an unpacked archive, without texts that the model would cut.

    Raises:
        LoadTestError: the golden requests have no text, or no context, to make others of.
    """
    values = sorted(set(values))
    if name == "workers":
        return [Case(value, golden, workers=str(value)) for value in values]
    if name == "clients":
        return [Case(value, golden, clients=value) for value in values]
    if name == "models":
        return [Case(value, golden, copies=value) for value in values]
    if name == "contexts":
        return [Case(value, contexts_of(golden, value), clients=1, workers="1") for value in values]
    limit = max_tokens(folder, golden)
    return [Case(value, of_tokens(folder, golden, value)) for value in values if limit is None or value <= limit]


def sweep(
    name: str, values: Sequence[int], model: str, store: Path, timing: Timing, report: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each value: its metrics over the repeats, the work, and the memory of all workers in MiB.

    Raises:
        LoadTestError: no archive, a request that the model refuses, or a server did not start or failed.
    """
    archive = store / f"{model}.mar"
    with tempfile.TemporaryDirectory(prefix="sweep-") as temporary:
        root = Path(temporary)
        unpack(archive, root / "model")
        cases = cases_of(name, values, root / "model", read_golden(archive))
        for number, ((workers, copies), group) in enumerate(groupby(cases, lambda case: case.server)):
            on_server = list(group)
            models = [f"{model}_{copy}" for copy in range(1, copies + 1)] or [model]
            served = _copies(archive, models, root) if copies else store
            with serving(served, models, root / f"server-{number}", workers=workers) as server:
                labels = read_labels(archive)
                first = _requests(server.target, models, on_server[0].samples, labels)
                in_its_own_process(first, max(case.clients for case in on_server), timing.warm_up)
                for case in on_server:
                    measured = []
                    for _ in range(timing.repeats):
                        sets = _requests(server.target, models, case.samples, labels)
                        measured.append(in_its_own_process(sets, case.clients, timing.seconds))
                        report(f"{model}, {name} {case.value}: {line(measured[-1])}")
                    work = work_of(case.samples, rows_of(root / "model", case.samples))
                    metrics = of_repeats(measured)
                    yield {
                        "value": case.value,
                        "work": asdict(work),
                        **metrics,
                        "p50_per_row": round(metrics["p50"]["median"] * work.requests / work.rows, 2),
                        "memory_mib": server.all_workers_memory(),
                    }


def _requests(
    target: Target, models: Sequence[str], samples: list[Sample], labels: list[str] | None
) -> list[RequestSet]:
    return [RequestSet(target, model, samples, labels) for model in models]


def _copies(archive: Path, names: Sequence[str], root: Path) -> Path:
    """Return a store of copies of the archive under other names; each is packed once."""
    store = root / "copies"
    for name in names:
        if not (store / f"{name}.mar").exists():
            unpack(archive, root / name)
            pack_as(name, root / name, store / f"{name}.mar")
    return store
