"""`python -m archives serve`: settings from the command line, start, what to tell the person, and the foreground."""

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

from archives import output
from archives.errors import ServerError
from archives.serving import hardware, lifecycle, logs, ports, tokens
from archives.serving.record import Server
from archives.serving.settings import Settings
from archives.store import StoredModel, find_models


def run(arguments: argparse.Namespace) -> None:
    """Raises ServerError when the server cannot start or, in the foreground, ends by itself."""
    began = time.monotonic()

    def report(step: str) -> None:
        print(f"{time.monotonic() - began:5.1f} s  {step}", flush=True)

    signal.signal(signal.SIGTERM, _interrupt)
    models = find_models(arguments.store, arguments.models)
    settings = settings_of(arguments)
    report(
        f"starting TorchServe on port {settings.port}: {settings.workers} worker(s) per model on "
        f"{f'{len(settings.gpus)} GPU(s)' if settings.gpus else 'the CPU'}, {settings.profile} profile"
    )
    started, process = lifecycle.start(
        settings, models, servers=arguments.servers, timeout=arguments.timeout, report=report
    )
    stopping = threading.Event()
    with contextlib.ExitStack() as end:  # also where nobody reads the output any more
        end.callback(process.wait)
        end.callback(lifecycle.stop, started, drain=arguments.drain, report=_tell)
        if arguments.foreground:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, frame: stopping.set())
        report("ready")
        print(welcome(started, models, _header(started, kept=arguments.foreground)), flush=True)
        if arguments.foreground:
            _stay(started, process, stopping)
        else:
            end.pop_all()  # the server outlives this command


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The command line's ports, workers and device, with what it leaves open filled in.

    Raises:
        ServerError: the device is not there, the number of workers is none, or a port is.
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
        workers=_workers(arguments.workers, len(gpus)),
        profile=arguments.profile,
        gpus=gpus,
    )


def welcome(started: Server, models: Sequence[StoredModel], header: str) -> str:
    """URLs, and a request ready to paste; `header` as a shell reads it."""
    request = shlex.quote(json.dumps(models[0].golden[0]["request"], ensure_ascii=False))
    curl = [
        f"curl {started.url}/predictions/{models[0].name}",
        f"-H {header}",
        "-H 'Content-Type: application/json'",
        f"-d {request}",
    ]
    return "\n".join(
        [
            *(f"inference   {started.url}/predictions/{model.name}" for model in models),
            f"management  {started.management_url}/models",
            f"metrics     {started.metrics_url}",
            f"logs        {started.logs}",
            "",
            " \\\n  ".join(curl),
        ]
    )


def _header(started: Server, *, kept: bool) -> str:
    """With the key, or, where the output is `kept` as a container's is, with a command that prints it."""
    if not kept:
        return shlex.quote(f"Authorization: {tokens.bearer(started)}")
    where = ["--servers", str(started.folder.parent), "--port", str(started.port)]
    return f'"$({shlex.join([sys.executable, "-m", "archives", "token", *where])})"'


def _ports(arguments: argparse.Namespace) -> tuple[int, int, int]:
    if arguments.port == 0:
        inference, management, metrics = ports.free_ports(arguments.host, 3)
    else:
        inference, management, metrics = (arguments.port + offset for offset in range(3))
    chosen = inference, arguments.management_port or management, arguments.metrics_port or metrics
    for port in chosen:
        if not 0 < port <= ports.HIGHEST:
            raise ServerError(f"there is no port {port}: up to {ports.HIGHEST}; two follow --port (PORT=) unless given")
    return chosen


def _gpus(device: str) -> list[str]:
    if device != "gpu":
        return hardware.usable_gpus() if device == "auto" else []
    gpus = hardware.visible_gpus()
    if not gpus:
        raise ServerError(
            "--device gpu: no GPU found (nvidia-smi lists none, or CUDA_VISIBLE_DEVICES hides them): use DEVICE=cpu"
        )
    return gpus


def _workers(wanted: str, gpus: int) -> int:
    if wanted == "auto":
        return gpus or hardware.usable_cores()
    if not wanted.isdecimal() or int(wanted) < 1:
        raise ServerError(f"--workers {wanted}: expected auto or a number from 1")
    return int(wanted)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """TERM while starting ends like Ctrl-C, so that nothing of the server is left behind."""
    raise KeyboardInterrupt


def _stay(started: Server, process: subprocess.Popen[bytes], stopping: threading.Event) -> None:
    """Shows the logs until a signal comes."""

    def show() -> None:
        with contextlib.suppress(BrokenPipeError):
            for line in logs.follow(started.logs, stopping.is_set):
                print(line, flush=True)

    threading.Thread(target=show, daemon=True).start()
    lifecycle.run_until_stopped(started, process, stopping.is_set)
    _tell("stopping: waiting for requests in flight")


def _tell(line: str) -> None:
    """Of the end, which comes whether or not anybody reads of it: Ctrl-C ends the `tee` of `serve | tee` too."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        output.drop()
