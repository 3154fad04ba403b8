"""Load test of a served model: Locust users send requests, check every answer, and limits decide the exit code.

    python -m loadtest --model intent --users 64 --duration 30 --p99 200
    python -m loadtest --model intent --rate 300 --texts texts.txt
    python -m loadtest --model qa --texts dev-v1.1.json.gz
    python -m loadtest --model intent --url http://host:8080 --token KEY

Reports (CSV, HTML, summary.json) go to loadtest/reports/<model>. Exit codes: 0 all limits hold, 1 a limit was not kept,
2 there was no result. From several machines, with the same options everywhere:

    python -m loadtest --model intent --url URL --token KEY --users 500 --master --expect-workers 2
    python -m loadtest --model intent --url URL --token KEY --users 500 --worker --master-host MASTER   # twice
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from loadtest import arguments as options
from loadtest.command import exit_code
from loadtest.packages import require
from loadtest.plan import Plan
from loadtest.run import run
from loadtest.samples import read_golden, read_labels, read_texts
from loadtest.target import Target, find_target
from loadtest.thresholds import Summary, Thresholds

# A share of the asked rate; below it the limit was the server, or too few users.
REACHED = 0.9


def main() -> int:
    arguments = options.parse((__doc__ or "").splitlines()[0])
    return exit_code(lambda: _test(arguments))


def _test(arguments: argparse.Namespace) -> int:
    require("locust")
    plan = plan_of(arguments)
    print(f"{plan.model} on {plan.target.url}: {_load(arguments)}", flush=True)
    summary = run(plan, arguments)
    if summary is None:
        return 0
    return judge(summary, Thresholds(arguments.max_failures, arguments.p99, arguments.min_rps), arguments)


def plan_of(arguments: argparse.Namespace) -> Plan:
    """What the command line asks to send, where, and what has to come back."""
    archive = arguments.store / f"{arguments.model}.mar"
    return Plan(
        target=Target(arguments.url.rstrip("/"), arguments.token)
        if arguments.url
        else find_target(arguments.port, arguments.servers),
        model=arguments.model,
        samples=read_texts(arguments.texts) if arguments.texts else read_golden(archive),
        labels=read_labels(archive),
        user_rate=arguments.rate / arguments.users if arguments.rate else None,
        result="",
    )


def judge(summary: Summary, limits: Thresholds, arguments: argparse.Namespace) -> int:
    """Prints the result and its verdict, keeps both in summary.json, and returns the exit code."""
    failed = limits.failed(summary)
    asked = {name: getattr(arguments, name) for name in ("model", "users", "duration", "rate", "processes")}
    result = asked | asdict(summary) | {"thresholds": asdict(limits), "failed": failed, "passed": not failed}
    path = arguments.out / "summary.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(
        f"{summary.requests} requests, {summary.requests_per_second:.1f}/s, "
        f"p50 {summary.p50:g} ms, p95 {summary.p95:g} ms, p99 {summary.p99:g} ms, "
        f"{summary.failures} failures"
    )
    for error, count in sorted(summary.errors.items(), key=lambda item: -item[1])[:5]:
        print(f"  {count} x {error}")
    if arguments.rate and summary.requests_per_second < REACHED * arguments.rate:
        print(f"note: {arguments.rate:g} requests/s were asked for and not reached: the server, or too few --users")
    print(f"report: {arguments.out / 'report.html'}, {path}")
    print("failed: " + "; ".join(failed) if failed else "passed: all limits hold")
    return 1 if failed else 0


def _load(arguments: argparse.Namespace) -> str:
    if arguments.worker:
        return f"worker of {arguments.master_host}:{arguments.master_port}"
    rate = f" at {arguments.rate:g} requests/s" if arguments.rate else ""
    return f"{arguments.users} users for {arguments.duration} s{rate}"


if __name__ == "__main__":
    sys.exit(main())
