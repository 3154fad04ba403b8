"""How a served model's requests/s and p99 grow with one thing at a time, the others as they usually are.

Where nothing else is said: golden requests, `CLIENTS` clients, one model, a worker on every core.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtest.bench.archive import pack_as, unpack
from loadtest.bench.figures import of_repeats
from loadtest.bench.measure import Work, in_own_process, line, rows_of, warm_up
from loadtest.bench.server import Served, serving
from loadtest.bench.texts import longest_of, of_tokens
from loadtest.bench.timing import Timing
from loadtest.plan import Plan
from loadtest.samples import Sample, read_golden, read_labels

CLIENTS = 64

Entry = dict[str, Any]


@dataclass(frozen=True)
class Ranges:
    """`tokens` of a text or a context; `models` served at once, `workers` of a model."""

    workers: Sequence[int]
    clients: Sequence[int]
    tokens: Sequence[int]
    models: Sequence[int]


@dataclass(frozen=True)
class Sweeps:
    """Of one model; `folder` is one for their files, its `model` the unpacked archive.

    Each gives one entry a number: the number under the sweep's own name, the figures over the repeats, and the memory
    of all workers after them, in MiB.
    """

    model: str
    store: Path
    folder: Path
    timing: Timing
    report: Callable[[str], None]

    def workers(self, counts: Sequence[int]) -> Iterator[Entry]:
        """Each is a server of its own."""
        for count in counts:
            with self.serving([self.model], self.store, str(count)) as server:
                yield self._entry("workers", count, server, [self.plan(server)])

    def clients(self, server: Served, counts: Sequence[int]) -> Iterator[Entry]:
        for count in counts:
            yield self._entry("clients", count, server, [self.plan(server)], count)

    def tokens(self, server: Served, lengths: Sequence[int]) -> Iterator[Entry]:
        """Texts that the model would cut are left out; each entry says what the requests are for the model too."""
        longest = longest_of(self.unpacked, self.golden)
        for length in lengths:
            if longest is None or length <= longest:
                samples = of_tokens(self.unpacked, self.golden, length)
                work = {"work": asdict(work_of(self.unpacked, samples))}
                yield self._entry("tokens", length, server, [self.plan(server, samples)]) | work

    def models(self, counts: Sequence[int]) -> Iterator[Entry]:
        """Copies of the archive under other names, each with a worker on every core; the clients ask all of them."""
        store = self.folder / "copies"
        names = [f"{self.model}_{number}" for number in range(1, max(counts, default=0) + 1)]
        for name in names:
            unpack(self.archive, self.folder / name)
            pack_as(name, self.folder / name, store / f"{name}.mar")
        for count in counts:
            with self.serving(names[:count], store) as server:
                plans = [self.plan(server, model=name) for name in names[:count]]
                yield self._entry("models", count, server, plans)

    @property
    def archive(self) -> Path:
        return self.store / f"{self.model}.mar"

    @property
    def unpacked(self) -> Path:
        return self.folder / "model"

    @property
    def golden(self) -> list[Sample]:
        return read_golden(self.archive)

    def plan(self, server: Served, samples: list[Sample] | None = None, model: str | None = None) -> Plan:
        """Golden requests to the model itself, where nothing else is said."""
        return Plan(server.target, model or self.model, samples or self.golden, read_labels(self.archive))

    @contextmanager
    def serving(self, models: list[str], store: Path, workers: str = "auto") -> Iterator[Served]:
        """A server of its own files, warmed up."""
        files = Path(tempfile.mkdtemp(prefix="server-", dir=self.folder))
        with serving(store, models, files, workers=workers) as server:
            warm_up([self.plan(server, model=name) for name in models], CLIENTS, self.timing.warm_up)
            yield server

    def _entry(self, name: str, number: int, server: Served, plans: Sequence[Plan], clients: int = CLIENTS) -> Entry:
        measured = []
        for _ in range(self.timing.repeats):
            measured.append(in_own_process(plans, clients, self.timing.seconds))
            self.report(f"{self.model}, {name} {number}: {line(measured[-1])}")
        memory = {"models": len(plans), **server.all_workers_memory()}
        return {name: number, **of_repeats(measured), "memory_mib": memory}


def grow(
    model: str, store: Path, ranges: Ranges, timing: Timing, report: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """What a golden request is for the model, and the entries by what grows, as far as they are measured each time.

    Raises:
        LoadTestError: no archive, a request that the model refuses, or a server did not start or failed.
    """
    with tempfile.TemporaryDirectory(prefix="growth-") as temporary:
        sweeps = Sweeps(model, store, Path(temporary), timing, report)
        unpack(sweeps.archive, sweeps.unpacked)
        growth: dict[str, list[Entry]] = {}
        found = {"work": asdict(work_of(sweeps.unpacked, sweeps.golden)), "growth": growth}
        growth["workers"] = list(sweeps.workers(ranges.workers))
        yield found
        with sweeps.serving([model], store) as server:
            growth["clients"] = list(sweeps.clients(server, ranges.clients))
            yield found
            growth["tokens"] = list(sweeps.tokens(server, ranges.tokens))
            yield found
        growth["models"] = list(sweeps.models(ranges.models))
        yield found


def work_of(folder: Path, samples: Sequence[Sample]) -> Work:
    """Raises LoadTestError: the unpacked archive's model refuses a request."""
    rows = rows_of(folder, samples)
    return Work(len(samples), len(rows), sum(map(len, rows)))
