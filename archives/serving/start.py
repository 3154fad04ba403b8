"""Start TorchServe in the background and wait until its models answer: `python -m archives serve`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from archives.errors import ServerError
from archives.serving import ports, record
from archives.serving.java import find_java, java_command
from archives.serving.readiness import wait_until_ready
from archives.serving.record import Server
from archives.serving.settings import Settings, properties
from archives.serving.stop import end_tree
from archives.store import StoredModel

# Limit of the temporary folder's path, in bytes. Workers listen on Unix sockets in it (`.ts.sock.9000`), and a socket's
# path may have 108 bytes on Linux and 104 on other systems.
MAX_TEMPORARY = 80


def start(
    settings: Settings,
    models: Sequence[StoredModel],
    *,
    servers: Path = record.SERVERS,
    timeout: float = 120,
    report: Callable[[str], None] = print,
) -> tuple[Server, subprocess.Popen[bytes]]:
    """Start a server in a session of its own, and return it once every model has answered real requests.

    Raises:
        ServerError: the server could not start; none of its processes is left running.
    """
    # The server's working directory is this folder, so a relative path would not lead to it.
    folder = (servers / str(settings.port)).resolve()
    _require_no_server(record.load(folder))
    _require_free_ports(settings)
    java = find_java()
    temporary = _prepare(folder)
    (folder / record.CONFIG).write_text(properties(settings, models), encoding="utf-8")
    process = _launch(java_command(java, folder, temporary, models), folder, settings.gpus)
    try:
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
            pid=process.pid,
        )
        server.save()
        wait_until_ready(server, models, lambda: process.poll() is None, timeout, report)
    except BaseException:
        end_tree(process.pid)
        process.wait()
        record.remove_files(folder, temporary)
        raise
    return server, process


def _require_no_server(previous: Server | None) -> None:
    if previous is None:
        return
    if record.is_running(previous):
        raise ServerError(
            f"a server is already running on {previous.url} (process {previous.pid}, models "
            f"{', '.join(previous.models)}): stop it with make stop PORT={previous.port}, or choose another port"
        )
    record.remove_files(previous.folder, previous.temporary)


def _require_free_ports(settings: Settings) -> None:
    chosen = {
        "--port (PORT=)": settings.port,
        "--management-port (MANAGEMENT_PORT=)": settings.management_port,
        "--metrics-port (METRICS_PORT=)": settings.metrics_port,
    }
    if len(set(chosen.values())) < len(chosen):
        raise ServerError(f"the three ports have to differ: {', '.join(map(str, chosen.values()))}")
    for option, port in chosen.items():
        if not ports.is_free(settings.host, port):
            raise ServerError(
                f"port {port} on {settings.host} is not free: choose another one with {option}, "
                "or stop the program that listens there"
            )


def _prepare(folder: Path) -> Path:
    """Clear the server's folder except for the previous logs, and return the folder for temporary files."""
    logs, previous = folder / "logs", folder / "logs.previous"
    shutil.rmtree(previous, ignore_errors=True)
    if logs.is_dir():
        logs.rename(previous)
    logs.mkdir(parents=True)
    (folder / record.KEY_FILE).unlink(missing_ok=True)
    temporary = folder / "tmp"
    if len(os.fsencode(temporary)) > MAX_TEMPORARY:
        return Path(tempfile.mkdtemp(prefix="torchserve-"))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    return temporary


def _launch(command: Sequence[str], folder: Path, gpus: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start the process without PYTHONPATH, which would take precedence over the code packed in the archive."""
    logs = folder / "logs"
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "TS_CONFIG_FILE"}}
    environment |= {"LOG_LOCATION": str(logs), "METRICS_LOCATION": str(logs)}
    if (visible := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        # TorchServe exits at once if this variable holds anything but numbers. UUIDs become nvidia-smi's numbers, which
        # follow the PCI bus, whereas CUDA by default counts the fastest GPU first.
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus) or "-1"
        if "GPU-" in visible:
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
