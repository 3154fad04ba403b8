"""The highest rate at which 99 of 100 answers come within a bound, and none is wrong: MLPerf's server scenario.

    python -m loadtest.slo --model intent --p99 100ms
    python -m loadtest.slo --model qa --texts dev-v1.1.json.gz --p99 1s --seconds 20
    python -m loadtest.slo --model intent=3 qa=1 --p99 500ms

Requests arrive by chance (Poisson) at a rate that is searched: raised and lowered until one keeps the bound and the
next does not, by 5 % in the end. Each rate is tried until it is 99 % sure which of the two it is; the one found has to
keep the bound once more. Beside it, for a single model: single-stream (one client that waits for each answer) and
offline (always enough requests waiting for full batches), as MLPerf names them.

slo.html, slo.json and points.csv go to runs/reports/<model>-slo. Exit codes: 0 a rate was found (and is --min-rps
or more), 1 it was not, 2 there was no result, 3 the load generator was too slow to find it.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from loadtest.arguments import REPORTS, add_server, add_traffic, check, count, names, positive
from loadtest.bench.closed_loop import measure
from loadtest.command import INVALID, exit_code
from loadtest.confidence import CONFIDENCE
from loadtest.generator import Run, busy
from loadtest.packages import require
from loadtest.plan import Job
from loadtest.slo.point import Point, measure_point
from loadtest.slo.search import Search, search
from loadtest.stages import Stage
from loadtest.traffic import job_of

# Fills the batches of every worker, and stays below the 1000 requests that may wait for a model.
OFFLINE_CLIENTS = 256
# Of the offline throughput: about where answers become slow.
FIRST_SHARE = 0.6
FIRST_RATE = 20.0


def main() -> int:
    arguments = _parse()
    return exit_code(lambda: _slo(arguments))


def _slo(arguments: argparse.Namespace) -> int:
    require("matplotlib", "jinja2")
    from loadtest import open_loop

    job = job_of(arguments, [])
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"{', '.join(job.models)} on {job.target.url}: p99 within {arguments.p99:g} ms", flush=True)
    scenarios = closed_scenarios(job, arguments.seconds)

    def send(rate: float, seconds: float, seed: int) -> Run:
        return open_loop.run(replace(job, stages=[Stage(seconds, rate)]), arguments.processes, seed)

    tried = iter(range(1_000_000))

    def attempt(rate: float) -> Point:
        return measure_point(send, rate, arguments.p99 / 1000, arguments.seconds, next(tried))

    first = FIRST_SHARE * scenarios["offline"]["requests_per_second"] if scenarios else FIRST_RATE
    found = search(attempt, first, _tell)
    return conclude(job, found, scenarios, arguments)


def closed_scenarios(job: Job, seconds: float) -> dict[str, Any]:
    """Single-stream and offline; none for several models."""
    if len(job.plans) > 1:
        return {}
    measured = {}
    for name, clients in (("single-stream", 1), ("offline", OFFLINE_CLIENTS)):
        one = measure(job.plans[0], clients, seconds)
        measured[name] = asdict(one) | {"clients": clients}
        latency = f"p50 {one.p50:.1f} ms, p99 {one.p99:.1f} ms"
        print(f"{name}: {one.requests_per_second:.1f}/s, {latency}, {one.failures} failures", flush=True)
        if fault := busy(one.generator_cores):
            print(f"note: {name} may be the load generator's own figure: {fault}", flush=True)
    return measured


def conclude(job: Job, found: Search, scenarios: dict[str, Any], arguments: argparse.Namespace) -> int:
    """Prints what was found, writes the report, and returns the exit code."""
    from loadtest.json_file import write_json
    from loadtest.report.files import write_page
    from loadtest.report.slo_pictures import pictures

    result = {
        "model": "+".join(job.models),
        "p99_bound": arguments.p99,
        "confidence": CONFIDENCE,
        "requests_per_second": found.best.rate if found.best else None,
        "valid": not found.limited_by_generator,
        "best": asdict(found.best) if found.best else None,
        "min_rps": arguments.min_rps,
        "scenarios": scenarios,
        "points": [asdict(point) for point in found.points],
    }
    write_json(arguments.out / "slo.json", result)
    _write_csv(found.points, arguments.out / "points.csv")
    drawn = list(pictures(found, arguments.p99))
    write_page(arguments.out / "slo.html", "slo.html.j2", result=result, pictures=drawn, url=job.target.url)
    print(f"report: {arguments.out / 'slo.html'}, {arguments.out / 'slo.json'}")
    best = found.best
    if best:
        print(
            f"{best.rate:.1f} requests/s keep p99 within {arguments.p99:g} ms: {best.slow} of {best.requests} were "
            f"slower; with {CONFIDENCE:.0%} confidence no more than {best.slow_at_most:.2%} are"
        )
    if found.limited_by_generator:
        why = next(point.why for point in reversed(found.points) if point.verdict == "not valid")
        print(f"not valid: {'a higher rate' if best else 'a rate'} could not be tried: {why}")
        return INVALID
    if best is None:
        print(f"failed: no rate keeps p99 within {arguments.p99:g} ms without a failure")
        return 1
    if arguments.min_rps and best.rate < arguments.min_rps:
        print(f"failed: requests/s: {best.rate:.1f}, the limit is {arguments.min_rps:g}")
        return 1
    return 0


def milliseconds(text: str) -> float:
    """`100ms`, `0.1s` or `100`."""
    for ending, factor in (("ms", 1.0), ("s", 1000.0)):
        if text.endswith(ending):
            return factor * positive(text.removesuffix(ending))
    return positive(text)


def _tell(point: Point, why: str) -> None:
    p99 = "no right answer" if point.p99 is None else f"p99 {point.p99:.1f} ms"
    print(f"{why}: {point.rate:.1f}/s for {point.seconds:.0f} s: {p99}: {point.verdict} ({point.why})", flush=True)


def _write_csv(points: list[Point], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(points[0])))
        writer.writeheader()
        writer.writerows(map(asdict, points))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.slo", description=(__doc__ or "").splitlines()[0])
    add_traffic(parser)
    parser.add_argument("--p99", type=milliseconds, required=True, metavar="TIME", help="such as 100ms or 1s")
    parser.add_argument("--min-rps", type=positive, help="requests/s that have to be found")
    parser.add_argument("--seconds", type=positive, default=10, help="at least, of each look at a rate (default: 10)")
    parser.add_argument("--processes", type=count, default=1, help="that send, on this machine")
    parser.add_argument("--out", type=Path, help="folder of the report (default: runs/reports/<model>-slo)")
    add_server(parser)
    arguments = parser.parse_args()
    check(parser, arguments)
    arguments.out = arguments.out or REPORTS / f"{'+'.join(names(arguments.model))}-slo"
    return arguments


if __name__ == "__main__":
    sys.exit(main())
