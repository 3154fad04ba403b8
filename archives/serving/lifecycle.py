"""Starts and stops TorchServe: `python -m archives serve`, `python -m archives stop`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from archives.errors import ServerError
from archives.serving import diagnosis, ports, processes, record
from archives.serving.drain import wait_until_idle
from archives.serving.java import find_java, java_command
from archives.serving.readiness import wait_until_ready
from archives.serving.record import Server
from archives.serving.settings import Settings, properties
from archives.store import StoredModel

Report = Callable[[str], None]
# Workers listen on Unix sockets `<temporary>/.ts.sock.9000`; the system allows such a path 108 bytes (Linux) or 104.
LONGEST_TEMPORARY = 80


def start(
    settings: Settings,
    models: Sequence[StoredModel],
    *,
    servers: Path = record.SERVERS,
    timeout: float = 120,
    report: Report = print,
) -> tuple[Server, subprocess.Popen[bytes]]:
    """Starts a server in a session of its own and returns when every model has answered real predictions.

    Raises:
        ServerError: it could not start; nothing of it is left running then.
    """
    # The server runs in this folder, so a relative path would lead elsewhere.
    folder = (servers / str(settings.port)).resolve()
    _require_free(settings, record.load(folder))
    java = find_java()
    temporary = _prepare(folder)
    (folder / record.CONFIG).write_text(properties(settings, models), encoding="utf-8")
    process = _launch(java_command(java, folder, temporary, models), folder, settings.gpus)
    try:
        server = _record(settings, models, folder, temporary, process.pid)
        wait_until_ready(server, models, lambda: process.poll() is None, timeout, report)
    except BaseException:
        processes.end_tree(process.pid)
        process.wait()
        _clean(folder, temporary)
        raise
    return server, process


def stop(server: Server, *, drain: float = record.DRAIN_SECONDS, report: Report = print) -> None:
    """Lets the requests in flight finish, up to `drain` seconds, then ends the server and its workers."""
    if not processes.is_alive(server):
        _clean(server.folder, server.temporary)
        report(f"the server of port {server.port} is already gone; its record is removed")
        return
    if not wait_until_idle(server, drain):
        report(f"still busy after {drain:g} s of waiting: stopping anyway")
    processes.end_tree(server.pid)
    _clean(server.folder, server.temporary)
    report(f"stopped the server of port {server.port}")


def run_until_stopped(server: Server, process: subprocess.Popen[bytes], stopping: Callable[[], bool]) -> None:
    """Watches a server until `stopping` says so.

    Raises:
        ServerError: the server ended by itself.
    """
    while not stopping():
        if process.poll() is not None:
            raise ServerError(
                f"TorchServe ended by itself with code {process.returncode}\n{diagnosis.last_lines(server.logs)}"
            )
        time.sleep(0.2)


def _require_free(settings: Settings, previous: Server | None) -> None:
    if previous is not None:
        if processes.is_alive(previous):
            raise ServerError(
                f"a server is already running on {previous.url} (process {previous.pid}, models "
                f"{', '.join(previous.models)}): stop it with make stop PORT={previous.port}, or choose another port"
            )
        _clean(previous.folder, previous.temporary)
    named = {
        "--port (PORT=)": settings.port,
        "--management-port (MANAGEMENT_PORT=)": settings.management_port,
        "--metrics-port (METRICS_PORT=)": settings.metrics_port,
    }
    if len(set(named.values())) < len(named):
        raise ServerError(f"the three ports have to differ: {', '.join(map(str, named.values()))}")
    for option, port in named.items():
        if not ports.is_free(settings.host, port):
            raise ServerError(
                f"port {port} on {settings.host} is not free: choose another one with {option}, "
                "or stop the program that listens there"
            )


def _prepare(folder: Path) -> Path:
    """Empties the server's folder, but for one generation of logs; gives the folder for temporary files."""
    logs, previous = folder / "logs", folder / "logs.previous"
    shutil.rmtree(previous, ignore_errors=True)
    if logs.is_dir():
        logs.rename(previous)
    logs.mkdir(parents=True)
    (folder / "key_file.json").unlink(missing_ok=True)
    temporary = folder / "tmp"
    if len(os.fsencode(temporary)) > LONGEST_TEMPORARY:
        return Path(tempfile.mkdtemp(prefix="torchserve-"))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    return temporary


def _launch(command: Sequence[str], folder: Path, gpus: Sequence[str]) -> subprocess.Popen[bytes]:
    """PYTHONPATH is left out: it would come before the code packed in the archive."""
    logs = folder / "logs"
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "TS_CONFIG_FILE"}}
    environment |= {"LOG_LOCATION": str(logs), "METRICS_LOCATION": str(logs)}
    if (named := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        # TorchServe ends at once where it is anything but numbers. Those of UUIDs are nvidia-smi's, which counts by PCI
        # bus, where CUDA would count the fastest GPU first.
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus) or "-1"
        if "GPU-" in named:
            environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    with (logs / "console.log").open("wb") as console:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
        )


def _record(settings: Settings, models: Sequence[StoredModel], folder: Path, temporary: Path, pid: int) -> Server:
    server = Server(
        folder=folder,
        host=settings.host,
        port=settings.port,
        management_port=settings.management_port,
        metrics_port=settings.metrics_port,
        grpc_ports=settings.grpc_ports,
        models={model.name: model.version for model in models},
        workers=settings.workers,
        gpus=len(settings.gpus),
        temporary=temporary,
        pid=pid,
    )
    server.save()
    return server


def _clean(folder: Path, temporary: Path) -> None:
    """Removes what is worthless once the server is gone: its record, its keys, its unpacked archives."""
    (folder / record.RECORD).unlink(missing_ok=True)
    (folder / "key_file.json").unlink(missing_ok=True)
    shutil.rmtree(temporary, ignore_errors=True)
