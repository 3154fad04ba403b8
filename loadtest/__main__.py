"""Load-test a served model: send requests, check every answer, and compare the result with limits.

    python -m loadtest --model intent --users 64 --duration 30 --p99 200
    python -m loadtest --model intent --rate 300 --texts texts.txt
    python -m loadtest --model intent=3 qa=1 --lengths mixed --shape stairs
    python -m loadtest --model qa --texts dev-v1.1.json.gz --shape soak --max-growth 50
    python -m loadtest --model intent --url http://host:8080 --token KEY

With --users, Locust's users wait for each answer before they ask again (a closed loop). With --rate, requests arrive
at random times, whether or not earlier ones were answered, and latency counts from the time each was due (an open
loop), so that a stalling server does not slow the arrivals down. Shapes: steady; stairs, up to the load in five steps;
spike, three times the load for a fifth of the time; soak, steady for an hour.

The results are report.html, summary.json, timeline.csv and requests.csv.gz in runs/reports/<model>. Exit codes: 0 all
limits hold, 1 a limit was missed, 2 there was no result, 3 the load generator itself was too slow to measure the
server. To run users on several machines, give the same options on each:

    python -m loadtest --model intent --url URL --token KEY --users 500 --master --expect-workers 2
    python -m loadtest --model intent --url URL --token KEY --users 500 --worker --master-host MASTER   # twice
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archives.errors import require
from loadtest.arguments import REPORTS, add_workload, check_workload, count, names, positive, workload_of
from loadtest.errors import INVALID, exit_code
from loadtest.stages import SHAPES, stages_of
from loadtest.target import local_server
from loadtest.workload import Workload

if TYPE_CHECKING:
    from loadtest.generator import Run
    from loadtest.monitor import Reading
    from loadtest.thresholds import Summary

SOAK_SECONDS = 3600
# Share of the requested rate; a server that answers fewer was saturated.
REACHED = 0.9


def main() -> int:
    arguments = _parse()
    return exit_code(lambda: _test(arguments))


def _test(arguments: argparse.Namespace) -> int:
    require("locust", "matplotlib", "jinja2", "psutil", "scipy", extra="loadtest")
    from loadtest.monitor import Monitor

    stages = stages_of(arguments.shape, arguments.duration, arguments.rate or arguments.users)
    workload = workload_of(arguments, stages)
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"{', '.join(workload.models)} on {workload.target.url}: {_load(arguments)}", flush=True)
    with Monitor(local_server(workload.target, arguments.servers), workload.models) as monitor:
        run = _send(workload, arguments)
    return 0 if run is None else judge(workload, run, monitor.readings, arguments)


def _send(workload: Workload, arguments: argparse.Namespace) -> Run | None:
    if arguments.rate:
        from loadtest import open_loop

        return open_loop.run(workload, arguments.processes)
    from loadtest import locust_run

    return locust_run.run(workload, arguments)


def judge(workload: Workload, run: Run, readings: list[Reading], arguments: argparse.Namespace) -> int:
    """Print the result and its verdict, write the report, and return the exit code."""
    from loadtest.report.page import write
    from loadtest.thresholds import Thresholds, summarise
    from loadtest.timeline import memory_growth, timeline

    recording = run.recording
    parts = timeline(run, workload.stages, readings)
    summary = replace(summarise(recording, workload.seconds), growth_mib=memory_growth(parts))
    by_model = {model: recording.where(recording.model == i) for i, model in enumerate(workload.models)}
    limits = Thresholds(arguments.max_failures, arguments.p99, arguments.min_rps, arguments.max_growth)
    failed = limits.failed(summary)
    invalid = run.generator.problems((summary.p50 or 0) / 1000, (summary.p99 or 0) / 1000)
    options = {
        name: getattr(arguments, name) for name in ("users", "rate", "shape", "duration", "lengths", "processes")
    }
    if arguments.rate:
        options["users"] = None
    result = {"model": "+".join(workload.models), **options, **asdict(summary)}
    result["models"] = {model: asdict(summarise(part, workload.seconds)) for model, part in by_model.items()}
    result["generator"] = run.generator.metrics()
    result |= {"valid": not invalid, "invalid": invalid, "thresholds": asdict(limits), "failed": failed}
    result["passed"] = not failed and not invalid
    write(arguments.out, workload, run, parts, result)
    _print(summary, result, arguments)
    print(f"report: {arguments.out / 'report.html'}, {arguments.out / 'summary.json'}")
    if invalid:
        print("not valid: " + "; ".join(invalid))
        return INVALID
    print("failed: " + "; ".join(failed) if failed else "passed: all limits hold")
    return 1 if failed else 0


def _print(summary: Summary, result: dict[str, Any], arguments: argparse.Namespace) -> None:
    print(f"{summary.requests} requests, {summary.requests_per_second:.1f}/s, {summary.failures} failures")
    for model, one in result["models"].items():
        if one["p50"] is not None:
            low, high = one["p99_interval"]
            print(
                f"{model}: p50 {one['p50']:.1f} ms, p95 {one['p95']:.1f} ms, p99 {one['p99']:.1f} ms "
                f"({low:.1f} to {high:.1f} in 19 of 20 runs), longest {one['longest']:.1f} ms"
            )
    for error, times in sorted(summary.errors.items(), key=lambda item: -item[1])[:5]:
        print(f"  {times} x {error}")
    used = result["generator"]
    print(
        f"load generator: {used['cores']:.2f} cores, late by {used['late_p50']:.1f} ms (p99 {used['late_p99']:.1f} ms)"
    )
    if arguments.rate and arguments.shape == "steady" and summary.requests_per_second < REACHED * arguments.rate:
        print(f"note: the server answered fewer than the {arguments.rate:g} requests/s that came")


def _load(arguments: argparse.Namespace) -> str:
    if arguments.worker:
        return f"worker of {arguments.master_host}:{arguments.master_port}"
    load = f"{arguments.rate:g} requests/s arriving by chance" if arguments.rate else f"{arguments.users} users"
    shape = "" if arguments.shape == "steady" else f", {arguments.shape}"
    return f"{load} for {arguments.duration} s{shape}"


def _parse() -> argparse.Namespace:
    """Parse the command line, check it and fill in its defaults."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=(__doc__ or "").splitlines()[0])
    add_workload(parser)
    parser.add_argument("--users", type=count, default=64, help="clients that wait for each answer (default: 64)")
    parser.add_argument("--rate", type=positive, help="instead of users: requests/s that arrive by chance")
    parser.add_argument("--duration", type=count, help=f"seconds (default: 30; {SOAK_SECONDS} for a soak)")
    parser.add_argument("--shape", choices=SHAPES, default="steady", help="shape of the load over time")
    parser.add_argument("--out", type=Path, help="folder of the report (default: runs/reports/<model>)")

    limits = parser.add_argument_group("limits", "the exit code is 0 only if all of them hold")
    limits.add_argument("--max-failures", type=_share, default=0.0, help="share of the requests (default: 0)")
    limits.add_argument("--p99", type=positive, help="milliseconds")
    limits.add_argument("--min-rps", type=positive, help="requests/s")
    limits.add_argument("--max-growth", type=positive, help="MiB of the server's memory from first to last quarter")

    machines = parser.add_argument_group("more processes and machines")
    machines.add_argument("--processes", type=count, default=1, help="processes that send, on this machine")
    role = machines.add_mutually_exclusive_group()
    role.add_argument("--master", action="store_true", help="wait for workers, share the users among them, report")
    role.add_argument("--worker", action="store_true", help="send for a master")
    machines.add_argument("--expect-workers", type=count, default=1, help="workers that the master waits for")
    machines.add_argument("--master-host", default="127.0.0.1")
    machines.add_argument("--master-port", type=int, default=5557)

    arguments = parser.parse_args()
    if arguments.processes > 1 and (arguments.master or arguments.worker):
        parser.error("--processes starts a master and workers of its own: leave --master and --worker out")
    if arguments.rate and (arguments.master or arguments.worker):
        parser.error("--rate sends from one machine: give each machine its part of the rate instead")
    check_workload(parser, arguments)
    arguments.duration = arguments.duration or (SOAK_SECONDS if arguments.shape == "soak" else 30)
    arguments.out = arguments.out or REPORTS / "+".join(names(arguments.model))
    return arguments


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a share from 0 to 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
