"""How long servers are measured, and warmed up before."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from loadtest.arguments import count, positive


@dataclass(frozen=True)
class Timing:
    """`seconds` of each measurement, `warm_up` seconds of each server before its first.

    A new server's Java compiles what it runs often, and takes cores from the workers for it (docs/experiments.md).
    """

    seconds: float
    warm_up: float
    repeats: int


def add_timing(parser: argparse.ArgumentParser) -> None:
    """The options that `timing` reads."""
    add_seconds(parser)
    parser.add_argument("--repeats", type=count, default=3)


def add_seconds(parser: argparse.ArgumentParser) -> None:
    """Without the repeats, for what is measured once."""
    parser.add_argument("--seconds", type=positive, default=8, help="of each measurement (default: 8)")
    of_warm_up = "seconds of each server before its first measurement, no fewer than of that (default: 15)"
    parser.add_argument("--warm-up", type=float, default=15, metavar="SECONDS", help=of_warm_up)


def timing(arguments: argparse.Namespace) -> Timing:
    """As asked for."""
    return Timing(arguments.seconds, max(arguments.warm_up, arguments.seconds), arguments.repeats)
