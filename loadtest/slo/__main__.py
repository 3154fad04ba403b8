"""Find the highest rate at which 99 of 100 answers come within a limit, and none is wrong: MLPerf's server scenario.

    python -m loadtest.slo --model intent --p99 100ms
    python -m loadtest.slo --model qa --texts dev-v1.1.json.gz --p99 1s --seconds 20
    python -m loadtest.slo --model intent=3 qa=1 --p99 500ms

Requests arrive by chance (Poisson) at a rate that is raised and lowered until one keeps the limit and the next, 5 %
higher, does not. Each rate is tried until it is 99 % sure which of the two it is; the result has to keep the limit once
more. For a single model the report also has single-stream (one client that waits for each answer) and offline (always
enough requests waiting for full batches), as MLPerf names them.

The folder runs/reports/<model>-slo gets slo.html, slo.json and points.csv. Exit codes: 0 there is such a rate, of
--min-rps or more, 1 there is none, 2 there was no result, 3 the load generator was too slow to find it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archives.errors import require
from loadtest.arguments import REPORTS, add_workload, check_workload, count, names, positive, workload_of
from loadtest.closed_loop import measure
from loadtest.errors import exit_code
from loadtest.stages import Stage
from loadtest.workload import Workload

if TYPE_CHECKING:
    from loadtest.generator import Run
    from loadtest.slo.point import Point

# Clients of the offline scenario: they fill the batches of every worker, and 1000 requests may wait for a model.
OFFLINE_CLIENTS = 256
# First rate to try, as a share of the offline throughput: about where answers become slow.
FIRST_SHARE = 0.6
FIRST_RATE = 20.0


def main() -> int:
    arguments = _parse()
    return exit_code(lambda: _search(arguments))


def _search(arguments: argparse.Namespace) -> int:
    require("matplotlib", "jinja2", "scipy", extra="loadtest")
    from loadtest import open_loop
    from loadtest.slo.point import measure_point
    from loadtest.slo.report import conclude
    from loadtest.slo.search import search

    workload = workload_of(arguments, [])
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"{', '.join(workload.models)} on {workload.target.url}: p99 within {arguments.p99:g} ms", flush=True)
    scenarios = _closed_scenarios(workload, arguments.seconds)

    def send(rate: float, seconds: float, seed: int) -> Run:
        return open_loop.run(replace(workload, stages=[Stage(seconds, rate)]), arguments.processes, seed)

    seeds = iter(range(1_000_000))

    def attempt(rate: float) -> Point:
        return measure_point(send, rate, arguments.p99 / 1000, arguments.seconds, next(seeds))

    first = FIRST_SHARE * scenarios["offline"]["requests_per_second"] if scenarios else FIRST_RATE
    return conclude(workload, search(attempt, first, _print), scenarios, arguments)


def _closed_scenarios(workload: Workload, seconds: float) -> dict[str, Any]:
    """Measure single-stream and offline; neither for several models."""
    from loadtest.generator import busy

    if len(workload.sets) > 1:
        return {}
    scenarios = {}
    for name, clients in (("single-stream", 1), ("offline", OFFLINE_CLIENTS)):
        measured = measure(workload.sets, clients, seconds)
        scenarios[name] = asdict(measured) | {"clients": clients}
        latency = f"p50 {measured.p50:.1f} ms, p99 {measured.p99:.1f} ms"
        print(f"{name}: {measured.requests_per_second:.1f}/s, {latency}, {measured.failures} failures", flush=True)
        if reason := busy(measured.generator_cores):
            print(f"note: {name} may be the load generator's own figure: {reason}", flush=True)
    return scenarios


def milliseconds(text: str) -> float:
    """Read `100ms`, `0.1s` or `100`."""
    for ending, factor in (("ms", 1.0), ("s", 1000.0)):
        if text.endswith(ending):
            return factor * positive(text.removesuffix(ending))
    return positive(text)


def _print(point: Point, why: str) -> None:
    p99 = "no right answer" if point.p99 is None else f"p99 {point.p99:.1f} ms"
    print(f"{why}: {point.rate:.1f}/s for {point.seconds:.0f} s: {p99}: {point.verdict} ({point.why})", flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.slo", description=(__doc__ or "").splitlines()[0])
    add_workload(parser)
    parser.add_argument("--p99", type=milliseconds, required=True, metavar="TIME", help="limit, such as 100ms or 1s")
    parser.add_argument("--min-rps", type=positive, help="requests/s that the rate has to reach")
    parser.add_argument("--seconds", type=positive, default=10, help="of each look at a rate, or more (default: 10)")
    parser.add_argument("--processes", type=count, default=1, help="processes that send, on this machine")
    parser.add_argument("--out", type=Path, help="folder of the report (default: runs/reports/<model>-slo)")
    arguments = parser.parse_args()
    check_workload(parser, arguments)
    arguments.out = arguments.out or REPORTS / f"{'+'.join(names(arguments.model))}-slo"
    return arguments


if __name__ == "__main__":
    sys.exit(main())
