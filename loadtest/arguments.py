"""The options of `python -m loadtest`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from loadtest.samples import STORE, TEXTS
from loadtest.stages import SHAPES
from loadtest.target import SERVERS
from loadtest.thresholds import Thresholds

REPORTS = Path(__file__).parent.parent / "runs" / "reports"
SOAK_SECONDS = 3600


def parse(description: str) -> argparse.Namespace:
    """The command line, checked and with its defaults filled in."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=description)
    add_traffic(parser)
    parser.add_argument("--users", type=count, default=64, help="clients that wait for each answer (default: 64)")
    parser.add_argument(
        "--rate", type=positive, help="requests/s that arrive by chance, answered or not, without users"
    )
    parser.add_argument("--duration", type=count, help=f"seconds (default: 30; {SOAK_SECONDS} of a soak)")
    parser.add_argument("--shape", choices=SHAPES, default="steady", help="of the load over time (default: steady)")
    parser.add_argument("--out", type=Path, help="folder of the reports (default: runs/reports/<model>)")

    limits = parser.add_argument_group("limits", "the exit code is 0 only when all of them hold")
    limits.add_argument("--max-failures", type=_share, default=Thresholds.max_failures, help="share (default: 0)")
    limits.add_argument("--p99", type=positive, help="milliseconds")
    limits.add_argument("--min-rps", type=positive, help="requests/s")
    limits.add_argument("--max-growth", type=positive, help="MiB of the server's memory from first to last quarter")

    add_server(parser)

    machines = parser.add_argument_group("more processes and machines")
    machines.add_argument("--processes", type=count, default=1, help="that send, on this machine")
    role = machines.add_mutually_exclusive_group()
    role.add_argument("--master", action="store_true", help="wait for workers, share the users among them, report")
    role.add_argument("--worker", action="store_true", help="serve a master")
    machines.add_argument("--expect-workers", type=count, default=1, help="that the master waits for")
    machines.add_argument("--master-host", default="127.0.0.1")
    machines.add_argument("--master-port", type=int, default=5557)

    arguments = parser.parse_args()
    if arguments.processes > 1 and (arguments.master or arguments.worker):
        parser.error("--processes starts a master and workers of its own: leave --master and --worker out")
    if arguments.rate and (arguments.master or arguments.worker):
        parser.error("--rate sends from one machine: give each machine its part of the rate instead")
    check(parser, arguments)
    arguments.duration = arguments.duration or (SOAK_SECONDS if arguments.shape == "soak" else 30)
    arguments.out = arguments.out or REPORTS / "+".join(names(arguments.model))
    return arguments


def add_traffic(parser: argparse.ArgumentParser) -> None:
    """What is sent."""
    of_models = "one model, or several with their parts of the requests: intent=3 qa=1"
    parser.add_argument("--model", nargs="+", required=True, metavar="NAME[=PART]", help=of_models)
    of_texts = f"{TEXTS}; default: the golden requests"
    parser.add_argument("--texts", nargs="+", default=[], metavar="[NAME=]FILE", help=of_texts)
    of_lengths = "`mixed` adds others to the golden texts, most of them short and some long, as people write"
    parser.add_argument("--lengths", choices=("golden", "mixed"), default="golden", help=of_lengths)


def add_server(parser: argparse.ArgumentParser) -> None:
    """Where it is sent."""
    server = parser.add_argument_group("server", "default: the one running on this machine")
    server.add_argument("--port", type=int, help="of the server; not needed when one is running")
    server.add_argument("--url", help="of a remote server, e.g. http://host:8080")
    server.add_argument("--token", help="inference key of a remote server")
    server.add_argument("--store", type=Path, default=STORE, help="where the model's archive is")
    server.add_argument("--servers", type=Path, default=SERVERS, help="where servers keep their files")


def check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """What both commands refuse."""
    if arguments.token and not arguments.url:
        parser.error("--token is for a remote server: give its --url too")
    if len(set(names(arguments.model))) < len(arguments.model):
        parser.error("--model names a model twice")
    for entry in arguments.model:
        _, separator, part = entry.partition("=")
        if separator:
            try:
                positive(part)
            except (ValueError, argparse.ArgumentTypeError):
                parser.error(f"--model {entry}: expected a number above 0 after =")


def names(models: Sequence[str]) -> list[str]:
    """Without their parts."""
    return [entry.partition("=")[0] for entry in models]


def count(text: str) -> int:
    """An option's number of things."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number of 1 or more")
    return value


def positive(text: str) -> float:
    """An option's number."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text}: expected a number above 0")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a share from 0 to 1")
    return value
