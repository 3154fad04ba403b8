"""Serve models from the command line: read the options, print the progress, and stay in the foreground if asked."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

from archives.errors import ServerError, drop_output
from archives.serving import diagnosis, hardware, ports
from archives.serving.record import DEFAULT_PORT, Server
from archives.serving.settings import DEFAULT_PROFILE, DRAIN_SECONDS, PROFILES, Settings
from archives.store import StoredModel, find_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `python -m archives serve`."""
    parser.add_argument("--models", nargs="*", default=[], metavar="NAME", help="default: all of the store")
    parser.add_argument("--host", default=ports.LOOPBACK, help="address to listen on; 0.0.0.0 in a container")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="inference API; 0 picks free ports")
    parser.add_argument("--management-port", type=int, help="default: the inference port + 1")
    parser.add_argument("--metrics-port", type=int, help="default: the inference port + 2")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="auto: the GPUs, if any")
    parser.add_argument("--workers", default="auto", metavar="auto|N", help="per model; auto: one per core, or per GPU")
    parser.add_argument("--profile", choices=PROFILES, default=DEFAULT_PROFILE, help="batching (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds within which every model has to be ready")
    parser.add_argument("--foreground", action="store_true", help="show the logs until TERM or INT stops the server")
    add_drain(parser)


def add_drain(parser: argparse.ArgumentParser) -> None:
    """Add the option that `serve` and `stop` share."""
    parser.add_argument(
        "--drain",
        type=float,
        default=DRAIN_SECONDS,
        help="seconds to wait for requests in flight before it stops (default: %(default)g)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Start a server, and return when it is ready or, in the foreground, when it has been stopped.

    Raises:
        ServerError: the server cannot start or, in the foreground, ends by itself.
    """
    from archives.serving.start import start
    from archives.serving.stop import stop

    start_time = time.monotonic()

    def report(step: str) -> None:
        print(f"{time.monotonic() - start_time:5.1f} s  {step}", flush=True)

    signal.signal(signal.SIGTERM, _interrupt)
    models = find_models(arguments.store, arguments.models)
    settings = settings_of(arguments)
    report(
        f"starting TorchServe on port {settings.port}: {settings.workers} worker(s) per model on "
        f"{f'{len(settings.gpus)} GPU(s)' if settings.gpus else 'the CPU'}, {settings.profile} profile"
    )
    server, process = start(settings, models, servers=arguments.servers, timeout=arguments.timeout, report=report)
    stopping = threading.Event()
    with contextlib.ExitStack() as end:  # also where nobody reads the output any more
        end.callback(process.wait)
        end.callback(stop, server, drain=arguments.drain, report=_print_if_read)
        if arguments.foreground:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, frame: stopping.set())
        report("ready")
        print(welcome(server, models, _header(server, foreground=arguments.foreground)), flush=True)
        if arguments.foreground:
            _stay(server, process, stopping)
        else:
            end.pop_all()  # the server outlives this command


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that the command line gives, with defaults for the others.

    Raises:
        ServerError: the device does not exist, or a port or the number of workers is invalid.
    """
    gpus = _gpus(arguments.device)
    port, management_port, metrics_port = _ports(arguments)
    grpc_inference, grpc_management = ports.free_ports(ports.LOOPBACK, 2)
    return Settings(
        store=arguments.store.resolve(),
        host=arguments.host,
        port=port,
        management_port=management_port,
        metrics_port=metrics_port,
        grpc_ports=(grpc_inference, grpc_management),
        workers=_workers(arguments.workers, auto=len(gpus) or hardware.usable_cores()),
        profile=arguments.profile,
        gpus=gpus,
    )


def welcome(server: Server, models: Sequence[StoredModel], header: str) -> str:
    """Return the URLs and a `curl` ready to paste; `header` must already be quoted for the shell."""
    request = shlex.quote(json.dumps(models[0].golden[0]["request"], ensure_ascii=False))
    curl = [
        f"curl {server.url}/predictions/{models[0].name}",
        f"-H {header}",
        "-H 'Content-Type: application/json'",
        f"-d {request}",
    ]
    return "\n".join(
        [
            *(f"inference   {server.url}/predictions/{model.name}" for model in models),
            f"management  {server.management_url}/models",
            f"metrics     {server.metrics_url}",
            f"logs        {server.logs}",
            "",
            " \\\n  ".join(curl),
        ]
    )


def _header(server: Server, *, foreground: bool) -> str:
    """Return the header with the key; in the foreground, as containers keep output, a command that prints it."""
    from archives.serving import tokens

    if not foreground:
        return shlex.quote(f"Authorization: {tokens.bearer(server)}")
    where = ["--servers", str(server.folder.parent), "--port", str(server.port)]
    return f'"$({shlex.join([sys.executable, "-m", "archives", "token", *where])})"'


def _ports(arguments: argparse.Namespace) -> tuple[int, int, int]:
    if arguments.port == 0:
        inference, management, metrics = ports.free_ports(arguments.host, 3)
    else:
        inference, management, metrics = (arguments.port + offset for offset in range(3))
    chosen = inference, arguments.management_port or management, arguments.metrics_port or metrics
    for port in chosen:
        if not 0 < port <= ports.MAX_PORT:
            raise ServerError(
                f"there is no port {port}: up to {ports.MAX_PORT}, and two follow --port (PORT=) unless given"
            )
    return chosen


def _gpus(device: str) -> list[str]:
    if device == "auto":
        return hardware.usable_gpus()
    gpus = hardware.visible_gpus() if device == "gpu" else []
    if device == "gpu" and not gpus:
        raise ServerError(
            "--device gpu: no GPU found (nvidia-smi lists none, or CUDA_VISIBLE_DEVICES hides them): use DEVICE=cpu"
        )
    return gpus


def _workers(workers: str, auto: int) -> int:
    if workers == "auto":
        return auto
    if not workers.isdecimal() or int(workers) < 1:
        raise ServerError(f"--workers {workers}: expected auto or a number from 1")
    return int(workers)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Treat TERM during the start like Ctrl-C, so that no part of the server is left behind."""
    raise KeyboardInterrupt


def _stay(server: Server, process: subprocess.Popen[bytes], stopping: threading.Event) -> None:
    """Show the logs until a signal comes.

    Raises:
        ServerError: the server ended by itself.
    """

    def show() -> None:
        with contextlib.suppress(BrokenPipeError):
            for line in diagnosis.follow(server.logs, stopping.is_set):
                print(line, flush=True)

    threading.Thread(target=show, daemon=True).start()
    while not stopping.is_set():
        if process.poll() is not None:
            raise ServerError(
                f"TorchServe ended by itself with code {process.returncode}\n{diagnosis.last_lines(server.logs)}"
            )
        time.sleep(0.2)
    _print_if_read("stopping: waiting for requests in flight")


def _print_if_read(line: str) -> None:
    """Print a line unless nobody reads the output, as in `serve | tee` after Ctrl-C: the server must stop anyway."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        drop_output()
