"""The options of `python -m loadtest`."""

from __future__ import annotations

import argparse
from pathlib import Path

from loadtest.samples import STORE, TEXTS
from loadtest.target import SERVERS
from loadtest.thresholds import Thresholds

REPORTS = Path(__file__).parent / "reports"


def parse(description: str) -> argparse.Namespace:
    """The command line, checked and with its defaults filled in."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=description)
    parser.add_argument("--model", required=True)
    parser.add_argument("--users", type=_count, default=64, help="clients that wait for each answer (default: 64)")
    parser.add_argument("--duration", type=_count, default=30, help="seconds (default: 30)")
    parser.add_argument("--rate", type=_positive, help="requests/s of all users together; default: as fast as they can")
    parser.add_argument("--texts", type=Path, help=f"{TEXTS}; default: the golden requests")
    parser.add_argument("--out", type=Path, help="folder of the reports (default: loadtest/reports/<model>)")

    limits = parser.add_argument_group("limits", "the exit code is 0 only when all of them hold")
    limits.add_argument("--max-failures", type=_share, default=Thresholds.max_failures, help="share (default: 0)")
    limits.add_argument("--p99", type=_positive, help="milliseconds")
    limits.add_argument("--min-rps", type=_positive, help="requests/s")

    server = parser.add_argument_group("server", "default: the one running on this machine")
    server.add_argument("--port", type=int, help="of the server; not needed when one is running")
    server.add_argument("--url", help="of a remote server, e.g. http://host:8080")
    server.add_argument("--token", help="inference key of a remote server")
    server.add_argument("--store", type=Path, default=STORE, help="where the model's archive is")
    server.add_argument("--servers", type=Path, default=SERVERS, help="where servers keep their files")

    machines = parser.add_argument_group("more processes and machines")
    machines.add_argument("--processes", type=_count, default=1, help="Locust processes on this machine")
    role = machines.add_mutually_exclusive_group()
    role.add_argument("--master", action="store_true", help="wait for workers, share the users among them, report")
    role.add_argument("--worker", action="store_true", help="serve a master")
    machines.add_argument("--expect-workers", type=_count, default=1, help="that the master waits for")
    machines.add_argument("--master-host", default="127.0.0.1")
    machines.add_argument("--master-port", type=int, default=5557)

    arguments = parser.parse_args()
    if arguments.processes > 1 and (arguments.master or arguments.worker):
        parser.error("--processes starts a master and workers of its own: leave --master and --worker out")
    if arguments.token and not arguments.url:
        parser.error("--token is for a remote server: give its --url too")
    arguments.out = arguments.out or REPORTS / arguments.model
    return arguments


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number of 1 or more")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text}: expected a number above 0")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a share from 0 to 1")
    return value
