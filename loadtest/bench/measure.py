"""One model's set-ups measured in turns, so that a machine that gets slower or busier does so for all of them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from handlers.request import RequestError
from loadtest.bench.archive import load_pipeline, unpack
from loadtest.bench.bound import rows_per_second
from loadtest.bench.closed_loop import WARM_UP_SECONDS, Measurement, measure_together
from loadtest.bench.numbers import rate
from loadtest.bench.setups import Setup, Starter
from loadtest.bench.texts import named
from loadtest.bench.timing import Timing
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
class Turns:
    """One entry a repeat: the bound in requests/s, and each set-up by its number of clients."""

    work: Work
    bound: list[float] = field(default_factory=list)
    setups: dict[str, dict[int, list[Measurement]]] = field(default_factory=dict)


@dataclass
class Results:
    """`texts` by the name of their lengths; `archive_bytes` is the bundle's.

    `memory` is the most of a set-up's largest worker seen after a measurement, in MiB.
    """

    archive_bytes: int
    texts: dict[str, Turns]
    memory: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """`profiles` beside the default one.

    `lengths` are names of the lengths of requests; `samples`, requests of a file by its name, take their place.
    """

    store: Path
    runs: Path
    clients: Sequence[int]
    timing: Timing
    lengths: Sequence[str]
    samples: Mapping[str, list[Sample]]
    profiles: Sequence[str]


def compare(model: str, options: Options, report: Callable[[str], None]) -> Results:
    """Starts every set-up's server and takes turns: for each kind of texts the bound, then each server with each number
    of clients.

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
        work = {kind: Work(len(texts[kind]), len(of_kind), sum(map(len, of_kind))) for kind, of_kind in rows.items()}
        results = Results(archive.stat().st_size, {kind: Turns(of_kind) for kind, of_kind in work.items()})
        starter = Starter(
            model, options.store, options.runs, root, texts, options.clients, options.profiles, running, report
        )
        setups = list(starter.start())
        report(f"{model}: about {_minutes(setups, results, timing):.0f} minutes")
        for setup in setups:
            warm_up(list(setup.plans.values()), max(setup.clients), timing.warm_up)
        for repeat, (kind, turns) in product(range(1, timing.repeats + 1), results.texts.items()):
            where = f"{model}, {kind} texts, turn {repeat}"
            rows_a_second = rows_per_second(folder, rows[kind], timing.seconds, setups[0].server.workers)
            turns.bound.append(round(rows_a_second * turns.work.requests / turns.work.rows, 2))
            report(f"{where}: bound {rate(turns.bound[-1])} requests/s")
            for setup in setups:
                for clients in setup.clients:
                    measurement = in_own_process([setup.plans[kind]], clients, timing.seconds)
                    turns.setups.setdefault(setup.name, {}).setdefault(clients, []).append(measurement)
                    report(f"{where}: {setup.name}, {clients} clients: {line(measurement)}")
                _keep_peak(results.memory.setdefault(setup.name, {}), setup.server.worker_memory())
    return results


def rows_of(folder: Path, samples: Sequence[Sample]) -> list[list[int]]:
    """Token ids of every row of every request.

    Raises:
        LoadTestError: the unpacked archive's model refuses a request.
    """
    pipeline = load_pipeline(folder)
    try:
        requests = [pipeline.encode(pipeline.parse(sample.request)) for sample in samples]
    except RequestError as error:
        raise LoadTestError(f"the model does not answer these requests: {error}") from error
    return [row for request in requests for row in request.rows]


def in_own_process(plans: Sequence[Plan], clients: int, seconds: float) -> Measurement:
    """Its processor time is then the generator's alone."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure_together, plans, clients, seconds).result()


def warm_up(plans: Sequence[Plan], clients: int, seconds: float) -> None:
    """Asks a new server before it is measured, see `Timing`."""
    in_own_process(plans, clients, seconds)


def _minutes(setups: Sequence[Setup], results: Results, timing: Timing) -> float:
    """Without the start of each measurement's process, about a second."""
    measurements = 1 + sum(len(setup.clients) for setup in setups)
    measured = measurements * len(results.texts) * timing.repeats * (timing.seconds + WARM_UP_SECONDS)
    return (len(setups) * timing.warm_up + measured) / 60


def _keep_peak(peak: dict[str, float], now: Mapping[str, float]) -> None:
    for kind, size in now.items():
        peak[kind] = max(size, peak.get(kind, 0.0))


def line(measurement: Measurement) -> str:
    """What is shown of it while others are still to come."""
    return (
        f"{rate(measurement.requests_per_second)} requests/s, p99 {measurement.p99:.1f} ms, "
        f"generator {measurement.generator_cores:.2f} cores"
    )
