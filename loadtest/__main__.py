"""Load test of a served model: requests are sent, every answer is checked, and limits decide the exit code.

    python -m loadtest --model intent --users 64 --duration 30 --p99 200
    python -m loadtest --model intent --rate 300 --texts texts.txt
    python -m loadtest --model intent=3 qa=1 --lengths mixed --shape stairs
    python -m loadtest --model qa --texts dev-v1.1.json.gz --shape soak --max-growth 50
    python -m loadtest --model intent --url http://host:8080 --token KEY

With --users Locust's users wait for each answer before they ask again (a closed loop). With --rate requests arrive by
chance, answered or not, and latency counts from when each was to be sent (an open loop): a server that stalls keeps no
request from coming. Shapes: steady; stairs, up to the load in five steps; spike, three times the load for a fifth of
the time; soak, steady for an hour.

report.html, summary.json, timeline.csv and requests.csv.gz go to runs/reports/<model>. Exit codes: 0 all limits
hold, 1 a limit was not kept, 2 there was no result, 3 the load generator was itself too slow to measure the server.
Users from several machines, with the same options everywhere:

    python -m loadtest --model intent --url URL --token KEY --users 500 --master --expect-workers 2
    python -m loadtest --model intent --url URL --token KEY --users 500 --worker --master-host MASTER   # twice
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from typing import Any

from loadtest import arguments as options
from loadtest.command import INVALID, exit_code
from loadtest.generator import Run
from loadtest.monitor import Monitor, Reading
from loadtest.packages import require
from loadtest.plan import Job
from loadtest.stages import stages_of
from loadtest.target import local_server
from loadtest.thresholds import Summary, Thresholds, summarise
from loadtest.timeline import growth, timeline
from loadtest.traffic import job_of

# A share of the asked rate; below it the server was the limit.
REACHED = 0.9


def main() -> int:
    arguments = options.parse((__doc__ or "").splitlines()[0])
    return exit_code(lambda: _test(arguments))


def _test(arguments: argparse.Namespace) -> int:
    require("locust", "matplotlib", "jinja2", "psutil")
    job = job_of(arguments, stages_of(arguments.shape, arguments.duration, arguments.rate or arguments.users))
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"{', '.join(job.models)} on {job.target.url}: {_load(arguments)}", flush=True)
    with Monitor(local_server(job.target, arguments.servers), job.models) as monitor:
        run = _sent(job, arguments)
    return 0 if run is None else judge(job, run, monitor.readings, arguments)


def _sent(job: Job, arguments: argparse.Namespace) -> Run | None:
    if arguments.rate:
        from loadtest import open_loop

        return open_loop.run(job, arguments.processes)
    from loadtest import locust_run

    return locust_run.run(job, arguments)


def judge(job: Job, run: Run, readings: list[Reading], arguments: argparse.Namespace) -> int:
    """Prints the result and its verdict, writes the report, and returns the exit code."""
    from loadtest.report.files import write

    parts = timeline(run, job.stages, readings)
    summary = replace(summarise(run.recording, job.seconds), growth_mib=growth(parts))
    limits = Thresholds(arguments.max_failures, arguments.p99, arguments.min_rps, arguments.max_growth)
    failed = limits.failed(summary)
    invalid = run.generator.faults((summary.p50 or 0) / 1000, (summary.p99 or 0) / 1000)
    asked = {name: getattr(arguments, name) for name in ("users", "rate", "shape", "duration", "lengths", "processes")}
    verdict = {"valid": not invalid, "invalid": invalid, "thresholds": asdict(limits), "failed": failed}
    result = {"model": "+".join(job.models)} | asked | asdict(summary)
    result |= {"models": _by_model(job, run), "generator": run.generator.figures()}
    result |= verdict | {"passed": not failed and not invalid}
    if arguments.rate:
        result["users"] = None
    write(arguments.out, job, run, parts, result)
    _tell(summary, result, arguments)
    print(f"report: {arguments.out / 'report.html'}, {arguments.out / 'summary.json'}")
    if invalid:
        print("not valid: " + "; ".join(invalid))
        return INVALID
    print("failed: " + "; ".join(failed) if failed else "passed: all limits hold")
    return 1 if failed else 0


def _by_model(job: Job, run: Run) -> dict[str, Any]:
    parts = {model: run.recording.where(run.recording.model == i) for i, model in enumerate(job.models)}
    return {model: asdict(summarise(part, job.seconds)) for model, part in parts.items()}


def _tell(summary: Summary, result: dict[str, Any], arguments: argparse.Namespace) -> None:
    print(f"{summary.requests} requests, {summary.requests_per_second:.1f}/s, {summary.failures} failures")
    for model, one in result["models"].items():
        if one["p50"] is not None:
            low, high = one["p99_interval"]
            print(
                f"{model}: p50 {one['p50']:.1f} ms, p95 {one['p95']:.1f} ms, p99 {one['p99']:.1f} ms "
                f"({low:.1f} to {high:.1f} in 19 of 20 runs), longest {one['longest']:.1f} ms"
            )
    for error, count in sorted(summary.errors.items(), key=lambda item: -item[1])[:5]:
        print(f"  {count} x {error}")
    own = result["generator"]
    print(f"load generator: {own['cores']:.2f} cores, late by {own['late_p50']:.1f} ms (p99 {own['late_p99']:.1f} ms)")
    if arguments.rate and arguments.shape == "steady" and summary.requests_per_second < REACHED * arguments.rate:
        print(f"note: the server answered fewer than the {arguments.rate:g} requests/s that came")


def _load(arguments: argparse.Namespace) -> str:
    if arguments.worker:
        return f"worker of {arguments.master_host}:{arguments.master_port}"
    load = f"{arguments.rate:g} requests/s arriving by chance" if arguments.rate else f"{arguments.users} users"
    shape = "" if arguments.shape == "steady" else f", {arguments.shape}"
    return f"{load} for {arguments.duration} s{shape}"


if __name__ == "__main__":
    sys.exit(main())
