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

# Bytes of the path of the temporary folder, in which workers listen on Unix sockets `.ts.sock.9000`: the system allows
# such a socket's path 108 bytes (Linux) or 104.
MAX_TEMPORARY = 80


def start(
    settings: Settings,
    models: Sequence[StoredModel],
    *,
    servers: Path = record.SERVERS,
    timeout: float = 120,
    report: Callable[[str], None] = print,
) -> tuple[Server, subprocess.Popen[bytes]]:
    """Start a server in a session of its own, and return it once every model has answered real predictions.

    Raises:
        ServerError: it could not start; nothing of it is left running then.
    """
    # The server runs in this folder, so a relative path would lead elsewhere.
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
    """Empty the server's folder, but for one generation of logs; return the folder for temporary files."""
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
    """Start the process. Without PYTHONPATH, which would come before the code packed in the archive."""
    logs = folder / "logs"
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "TS_CONFIG_FILE"}}
    environment |= {"LOG_LOCATION": str(logs), "METRICS_LOCATION": str(logs)}
    if (visible := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        # TorchServe ends at once where it is anything but numbers. Those of UUIDs are nvidia-smi's, which counts by PCI
        # bus, where CUDA would count the fastest GPU first.
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
