"""One model's set-ups measured in turns, so that a machine that gets slower or busier does so for all of them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from handlers.text.errors import RequestError
from loadtest.bench.archive import load_pipeline, unpack
from loadtest.bench.bound import rows_per_second
from loadtest.bench.closed_loop import Measurement, measure
from loadtest.bench.numbers import rate
from loadtest.bench.setups import Starter
from loadtest.errors import LoadTestError
from loadtest.plan import Plan
from loadtest.samples import Sample, read_golden


@dataclass(frozen=True)
class Work:
    """What the samples are for the model: a row is a text, or a window of a context; tokens are without padding."""

    requests: int
    rows: int
    tokens: int


@dataclass
class Results:
    """One entry a repeat: the bound in requests/s, and each set-up by its number of clients.

    `memory` is the most of the largest worker seen after a measurement, in MiB; `archive_bytes` is the bundle's.
    """

    archive_bytes: int
    work: Work
    bound: list[float] = field(default_factory=list)
    setups: dict[str, dict[int, list[Measurement]]] = field(default_factory=dict)
    memory: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """`seconds` of each measurement; `samples` None: the model's golden requests; `profiles` beside the default one."""

    store: Path
    runs: Path
    clients: Sequence[int]
    seconds: float
    repeats: int
    samples: list[Sample] | None
    profiles: Sequence[str]


def compare(model: str, options: Options, report: Callable[[str], None]) -> Results:
    """Starts every set-up's server and takes turns: the bound, then each server with each number of clients.

    Raises:
        LoadTestError: no archive, a request that the model refuses, or a server did not start or failed.
    """
    archive = options.store / f"{model}.mar"
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary, contextlib.ExitStack() as running:
        root = Path(temporary)
        unpack(archive, root / "model")
        samples = options.samples or read_golden(archive)
        rows = rows_of(root / "model", samples)
        results = Results(archive.stat().st_size, Work(len(samples), len(rows), sum(map(len, rows))))
        starter = Starter(
            model, options.store, options.runs, root, samples, options.clients, options.profiles, running, report
        )
        bundle, *others = starter.start()
        for repeat in range(1, options.repeats + 1):
            rows_a_second = rows_per_second(root / "model", rows, options.seconds, bundle.server.workers)
            results.bound.append(round(rows_a_second * len(samples) / len(rows), 2))
            report(f"{model}, turn {repeat}: bound {rate(results.bound[-1])} requests/s")
            for setup in (bundle, *others):
                for clients in setup.clients:
                    measurement = in_own_process(setup.plan, clients, options.seconds)
                    results.setups.setdefault(setup.name, {}).setdefault(clients, []).append(measurement)
                    report(f"{model}, turn {repeat}: {setup.name}, {clients} clients: {_line(measurement)}")
                _keep_peak(results.memory.setdefault(setup.name, {}), setup.server.worker_memory())
    return results


def rows_of(folder: Path, samples: Sequence[Sample]) -> list[list[int]]:
    """Token ids of every row of every request.

    Raises:
        LoadTestError: the unpacked archive's model refuses a request.
    """
    pipeline = load_pipeline(folder)
    try:
        batch = pipeline.encode([pipeline.parse(sample.request) for sample in samples])
    except RequestError as error:
        raise LoadTestError(f"the model does not answer these requests: {error}") from error
    return [row.ids for row in batch.rows]


def in_own_process(plan: Plan, clients: int, seconds: float) -> Measurement:
    """Its processor time is then the generator's alone."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, plan, clients, seconds).result()


def _keep_peak(peak: dict[str, float], now: Mapping[str, float]) -> None:
    for kind, size in now.items():
        peak[kind] = max(size, peak.get(kind, 0.0))


def _line(measurement: Measurement) -> str:
    return (
        f"{rate(measurement.requests_per_second)} requests/s, p99 {measurement.p99:.1f} ms, "
        f"generator {measurement.generator_cores:.2f} cores"
    )
