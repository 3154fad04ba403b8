"""The options of `python -m archives serve`, and those it shares with `stop`."""

from __future__ import annotations

import argparse

from archives.serving import ports, record
from archives.serving.settings import DEFAULT_PROFILE, PROFILES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", nargs="*", default=[], metavar="NAME", help="default: all of the store")
    parser.add_argument("--host", default=ports.LOOPBACK, help="address to listen on; 0.0.0.0 in a container")
    parser.add_argument("--port", type=int, default=record.DEFAULT_PORT, help="inference API; 0 picks free ports")
    parser.add_argument("--management-port", type=int, help="default: the inference port + 1")
    parser.add_argument("--metrics-port", type=int, help="default: the inference port + 2")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="auto: the GPUs, if any")
    parser.add_argument("--workers", default="auto", metavar="auto|N", help="per model; auto: one per core, or per GPU")
    parser.add_argument("--profile", choices=PROFILES, default=DEFAULT_PROFILE, help="batching (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds until every model has to be ready")
    parser.add_argument("--foreground", action="store_true", help="stay, show the logs, stop on TERM or INT")
    add_drain(parser)


def add_drain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--drain",
        type=float,
        default=record.DRAIN_SECONDS,
        help="seconds to wait for requests in flight before it stops (default: %(default)g)",
    )
