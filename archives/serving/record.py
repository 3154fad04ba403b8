"""Keep a record of each started server, `runs/servers/<port>/server.json`, and find the servers that run.

This module imports the standard library only, so that a service can find the local server without other packages.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from archives.errors import ServerError
from archives.serving import ports

SERVERS = Path(__file__).parents[2] / "runs" / "servers"
DEFAULT_PORT = 8080
CONFIG = "config.properties"
RECORD = "server.json"
KEY_FILE = "key_file.json"
PROCESSES = Path("/proc")  # macOS has none


@dataclass(frozen=True)
class Server:
    """A started TorchServe.

    `pid` belongs to its Java process, whose command line names `config`; `host` is the address it listens on; `models`
    maps names to versions; each model has `workers` workers, which share the `gpus`, if any; archives are unpacked in
    `temporary`.
    """

    folder: Path
    host: str
    port: int
    management_port: int
    metrics_port: int
    grpc_ports: tuple[int, int]
    models: Mapping[str, str]
    workers: int
    gpus: int
    temporary: Path
    pid: int

    @property
    def url(self) -> str:
        return self._url(self.port)

    @property
    def management_url(self) -> str:
        return self._url(self.management_port)

    @property
    def metrics_url(self) -> str:
        return f"{self._url(self.metrics_port)}/metrics"

    @property
    def local_host(self) -> str:
        """The address that reaches the server from this machine."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    @property
    def all_ports(self) -> tuple[int, ...]:
        return (self.port, self.management_port, self.metrics_port, *self.grpc_ports)

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def config(self) -> Path:
        return self.folder.resolve() / CONFIG

    @property
    def key_file(self) -> Path:
        return self.folder / KEY_FILE

    def _url(self, port: int) -> str:
        return ports.url(self.local_host, port)

    def save(self) -> None:
        urls = {"inference": self.url, "management": self.management_url, "metrics": self.metrics_url}
        record = asdict(self) | {"folder": str(self.folder), "temporary": str(self.temporary), "urls": urls}
        (self.folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def load(folder: Path) -> Server | None:
    """Return the record in a server's folder, or None if it is missing or cannot be read."""
    try:
        record = json.loads((folder / RECORD).read_text())
        record.pop("urls")
        grpc_inference, grpc_management = record.pop("grpc_ports")
        record |= {"folder": folder, "temporary": Path(record["temporary"])}
        return Server(**record, grpc_ports=(grpc_inference, grpc_management))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remove_files(folder: Path, temporary: Path) -> None:
    """Remove the files that are useless once the server is gone: its record, keys and unpacked archives."""
    (folder / RECORD).unlink(missing_ok=True)
    (folder / KEY_FILE).unlink(missing_ok=True)
    shutil.rmtree(temporary, ignore_errors=True)


def recorded(servers: Path = SERVERS) -> list[Server]:
    """Return every server with a record, sorted by port; its process may be gone."""
    records = [load(path.parent) for path in servers.glob(f"*/{RECORD}")]
    return sorted((server for server in records if server), key=lambda server: server.port)


def running(servers: Path = SERVERS) -> list[Server]:
    """Return the recorded servers whose process runs, sorted by port."""
    return [server for server in recorded(servers) if is_running(server)]


def is_running(server: Server) -> bool:
    """Return whether the recorded process still runs; another process with its number does not count.

    The command line tells the two apart. psutil's start time would not do, as it moves with the machine's clock. A
    zombie has no command line any more.
    """
    config = os.fsencode(server.config)
    if not PROCESSES.is_dir():
        command = ["ps", "-ww", "-o", "command=", "-p", str(server.pid)]
        return config in subprocess.run(command, capture_output=True, check=False).stdout
    try:
        return config in (PROCESSES / str(server.pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def find(port: int | None = None, servers: Path = SERVERS) -> Server:
    """Return the server that answers on `port`; without a port, the only one, or the one on 8080.

    Raises:
        ServerError: none answers, or there are several and no port was given.
    """
    answering = [
        server
        for server in running(servers)
        if port in {None, server.port} and ports.answers(server.local_host, server.port)
    ]
    if not answering:
        where = "" if port is None else f" on port {port}"
        raise ServerError(f"no server is running{where}: start one with make serve")
    return next((server for server in answering if server.port == DEFAULT_PORT), None) or only(answering)


def only(servers: list[Server]) -> Server:
    """Return the one server of a list that is not empty.

    Raises:
        ServerError: there are several, and the message lists their ports.
    """
    if len(servers) > 1:
        listed = ", ".join(str(server.port) for server in servers)
        raise ServerError(f"servers are running on the ports {listed}: choose one with --port (PORT=)")
    return servers[0]


def find_by_url(url: str, servers: Path = SERVERS) -> Server | None:
    """Return the recorded server with this inference URL; None for a server that was not started on this machine."""
    return next((server for server in recorded(servers) if server.url == url.rstrip("/")), None)
