"""Measures one model's variants in turns, so that a machine that gets slower or busier does so for all of them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from handlers.request import RequestError
from loadtest.bench.archive import load_pipeline, unpack
from loadtest.bench.results import Results, Turns, Work
from loadtest.bench.texts import named
from loadtest.bench.upper_bound import rows_per_second
from loadtest.bench.variants import Starter, Variant, label
from loadtest.closed_loop import WARM_UP_SECONDS, Measurement, measure
from loadtest.errors import LoadTestError
from loadtest.samples import Sample, read_golden
from loadtest.workload import RequestSet


@dataclass(frozen=True)
class Timing:
    """Seconds of each measurement, and of each server's `warm_up` before its first.

    A new server's Java compiles what it runs often, and takes cores from the workers for it (docs/experiments.md).
    """

    seconds: float
    warm_up: float
    repeats: int


@dataclass(frozen=True)
class Options:
    """Options of a comparison: `profiles` beside the default one, `lengths` of requests by name.

    `samples`, requests of a file by its name, take the place of the lengths.
    """

    store: Path
    runs: Path
    clients: Sequence[int]
    timing: Timing
    lengths: Sequence[str]
    samples: Mapping[str, list[Sample]]
    profiles: Sequence[str]


def compare(model: str, options: Options, report: Callable[[str], None]) -> Results:
    """Start every variant's server and take turns: for each kind of texts the upper bound, then each server with each
    number of clients.

    Raises:
        LoadTestError: no archive, a request that the model refuses, or a server did not start or failed.
    """
    archive, timing = options.store / f"{model}.mar", options.timing
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary, contextlib.ExitStack() as running:
        root = Path(temporary)
        folder = root / "model"
        unpack(archive, folder)
        golden = read_golden(archive)
        texts = options.samples or {name: named(name, folder, golden) for name in options.lengths}
        rows = {kind: rows_of(folder, samples) for kind, samples in texts.items()}
        turns_of = {kind: Turns(work_of(texts[kind], rows[kind])) for kind in texts}
        results = Results(archive.stat().st_size, turns_of)
        starter = Starter(
            model, options.store, options.runs, root, texts, options.clients, options.profiles, running, report
        )
        variants = list(starter.start())
        report(f"{model}: about {_minutes(variants, len(texts), timing):.0f} minutes")
        for variant in variants:
            in_its_own_process(list(variant.requests.values()), max(variant.clients), timing.warm_up)
        for repeat, (kind, turns) in product(range(1, timing.repeats + 1), turns_of.items()):
            where = f"{model}, {kind} texts, turn {repeat}"
            rows_a_second = rows_per_second(folder, rows[kind], timing.seconds, variants[0].server.workers)
            turns.upper_bound.append(round(rows_a_second * turns.work.requests / turns.work.rows, 2))
            report(f"{where}: upper bound {rate(turns.upper_bound[-1])} requests/s")
            for variant in variants:
                for clients in variant.clients:
                    measurement = in_its_own_process([variant.requests[kind]], clients, timing.seconds)
                    turns.variants.setdefault(variant.name, {}).setdefault(clients, []).append(measurement)
                    report(f"{where}: {label(variant.name)}, {clients} clients: {line(measurement)}")
                _keep_peak(results.memory.setdefault(variant.name, {}), variant.server.worker_memory())
    return results


def rows_of(folder: Path, samples: Sequence[Sample]) -> list[list[int]]:
    """Return the token ids of every row of every request.

    Raises:
        LoadTestError: the unpacked archive's model refuses a request.
    """
    pipeline = load_pipeline(folder)
    try:
        requests = [pipeline.encode(pipeline.parse(sample.request)) for sample in samples]
    except RequestError as error:
        raise LoadTestError(f"the model does not answer these requests: {error}") from error
    return [row for request in requests for row in request.rows]


def work_of(samples: Sequence[Sample], rows: Sequence[Sequence[int]]) -> Work:
    return Work(len(samples), len(rows), sum(map(len, rows)))


def in_its_own_process(sets: Sequence[RequestSet], clients: int, seconds: float) -> Measurement:
    """Measure in a process of its own, whose processor time is then the generator's alone."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, sets, clients, seconds).result()


def rate(requests_per_second: float) -> str:
    """Write a rate with three digits or more, so that slow servers can be compared too."""
    return f"{requests_per_second:.0f}" if requests_per_second >= 99.95 else f"{requests_per_second:.1f}"


def line(measurement: Measurement) -> str:
    """Describe a measurement while others are still to come."""
    return (
        f"{rate(measurement.requests_per_second)} requests/s, p99 {measurement.p99:.1f} ms, "
        f"generator {measurement.generator_cores:.2f} cores"
    )


def _minutes(variants: Sequence[Variant], kinds: int, timing: Timing) -> float:
    """Estimate the time without the start of each measurement's process, about a second."""
    measurements = 1 + sum(len(variant.clients) for variant in variants)
    measured = measurements * kinds * timing.repeats * (timing.seconds + WARM_UP_SECONDS)
    return (len(variants) * timing.warm_up + measured) / 60


def _keep_peak(peak: dict[str, float], now: Mapping[str, float]) -> None:
    for kind, size in now.items():
        peak[kind] = max(size, peak.get(kind, 0.0))
