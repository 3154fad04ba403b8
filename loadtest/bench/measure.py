"""One model's set-ups measured in turns, so that a machine that gets slower or busier does so for all of them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from handlers.pipeline import ClassificationPipeline
from loadtest.bench.archive import handler_settings, pack_with, unpack, whole_batches
from loadtest.bench.bound import rows_per_second
from loadtest.bench.closed_loop import Measurement, measure
from loadtest.bench.server import Served, serving
from loadtest.checks import TOLERANCE
from loadtest.plan import Plan
from loadtest.samples import Sample, read_golden, read_labels

BUNDLE = "this bundle"
ONE_WORKER = "one worker, padded to the longest"
ONE_WORKER_ALL_CORES = "the same, its model on every core"


@dataclass
class Results:
    """One entry a repeat: the bound in requests/s, and each set-up by its number of clients.

    `memory` is the most of the largest worker seen after a measurement, in MiB; `archive_bytes` is the bundle's.
    """

    archive_bytes: int
    bound: list[float] = field(default_factory=list)
    setups: dict[str, dict[int, list[Measurement]]] = field(default_factory=dict)
    memory: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """`seconds` of each measurement; `samples` None: the model's golden requests."""

    store: Path
    clients: Sequence[int]
    seconds: float
    repeats: int
    samples: list[Sample] | None


def compare(model: str, options: Options, report: Callable[[str], None]) -> Results:
    """Starts every set-up's server and takes turns: the bound, then each server with each number of clients.

    Raises:
        LoadTestError: no archive, or a server did not start or failed.
    """
    archive = options.store / f"{model}.mar"
    results = Results(archive_bytes=0)
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary, contextlib.ExitStack() as running:
        root = Path(temporary)
        unpack(archive, root / "model")
        results.archive_bytes = archive.stat().st_size
        samples = options.samples or read_golden(archive)
        rows = _rows(root / "model", samples)
        servers = dict(_start(model, options.store, root, running, report))
        plans = {
            name: Plan(server.target, model, samples, read_labels(archive), TOLERANCE, None, "")
            for name, server in servers.items()
        }
        for repeat in range(1, options.repeats + 1):
            rate = rows_per_second(root / "model", rows, options.seconds, servers[BUNDLE].workers)
            results.bound.append(round(rate * len(samples) / len(rows), 2))
            report(f"{model}, turn {repeat}: bound {results.bound[-1]:.0f} requests/s")
            for name, server in servers.items():
                for clients in options.clients:
                    measurement = _in_own_process(plans[name], clients, options.seconds)
                    results.setups.setdefault(name, {}).setdefault(clients, []).append(measurement)
                    report(f"{model}, turn {repeat}: {name}, {clients} clients: {_line(measurement)}")
                _keep_peak(results.memory.setdefault(name, {}), server.worker_memory())
    return results


def _start(
    model: str, store: Path, root: Path, running: contextlib.ExitStack, report: Callable[[str], None]
) -> Iterator[tuple[str, Served]]:
    report(f"{model}: starting the servers")
    bundle = running.enter_context(serving(store, model, "auto", root / "0"))
    yield BUNDLE, bundle
    variants = {ONE_WORKER: handler_settings(root / "model").threads, ONE_WORKER_ALL_CORES: bundle.workers}
    for number, (name, threads) in enumerate(variants.items(), start=1):
        changed, folder = root / f"store{number}", root / f"changed{number}"
        unpack(store / f"{model}.mar", folder)
        pack_with(folder, whole_batches(folder) | {"threads": threads}, changed / f"{model}.mar")
        yield name, running.enter_context(serving(changed, model, "1", root / str(number)))


def _rows(folder: Path, samples: Sequence[Sample]) -> list[list[int]]:
    """Token ids of every text of every request."""
    settings = handler_settings(folder)
    pipeline = ClassificationPipeline.load(folder, model_file=settings.model_file)
    batch = pipeline.encode([pipeline.parse(sample.request) for sample in samples])
    return [row.ids for row in batch.rows]


def _in_own_process(plan: Plan, clients: int, seconds: float) -> Measurement:
    """Its processor time is then the generator's alone."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, plan, clients, seconds).result()


def _keep_peak(peak: dict[str, float], now: dict[str, float]) -> None:
    for kind, size in now.items():
        peak[kind] = max(size, peak.get(kind, 0.0))


def _line(measurement: Measurement) -> str:
    return (
        f"{measurement.requests_per_second:.0f} requests/s, p99 {measurement.p99:.1f} ms, "
        f"generator {measurement.generator_cores:.2f} cores"
    )
