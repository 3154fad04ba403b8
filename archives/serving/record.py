"""The record of each started server, `runs/servers/<port>/server.json`: standard library only, so that a
calling service finds the local server with nothing else installed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from archives.errors import ServerError
from archives.serving import ports

SERVERS = Path(__file__).parents[2] / "runs" / "servers"
DEFAULT_PORT = 8080
# A batch may take 30: a quarter (handlers/entry.py) of responseTimeout (configs/serving/models/).
DRAIN_SECONDS = 40.0
CONFIG = "config.properties"
RECORD = "server.json"


@dataclass(frozen=True)
class Server:
    """A started TorchServe.

    `pid` is that of its Java process, whose command line names `config`; `host` is the address it listens on; `models`
    maps each model's name to its version; each has `workers`, which share `gpus`, if any; archives are unpacked in
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
        return self.folder / "key_file.json"

    def _url(self, port: int) -> str:
        return ports.url(self.local_host, port)

    def save(self) -> None:
        urls = {"inference": self.url, "management": self.management_url, "metrics": self.metrics_url}
        record = asdict(self) | {"folder": str(self.folder), "temporary": str(self.temporary), "urls": urls}
        (self.folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def load(folder: Path) -> Server | None:
    """The record of a server's folder; None when there is none, or none that can be read."""
    try:
        record = json.loads((folder / RECORD).read_text())
        record.pop("urls")
        grpc_inference, grpc_management = record.pop("grpc_ports")
        record |= {"folder": folder, "temporary": Path(record["temporary"])}
        return Server(**record, grpc_ports=(grpc_inference, grpc_management))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def recorded(servers: Path = SERVERS) -> list[Server]:
    """Every server with a record, by port; its process may be gone."""
    found = [load(path.parent) for path in servers.glob(f"*/{RECORD}")]
    return sorted((server for server in found if server), key=lambda server: server.port)


def find(port: int | None = None, servers: Path = SERVERS) -> Server:
    """The server answering on `port`; without a port, the only one, or the one on 8080.

    Raises:
        ServerError: none answers, or there are several and the port was left open.
    """
    alive = [
        server
        for server in recorded(servers)
        if port in {None, server.port} and _runs(server) and ports.answers(server.local_host, server.port)
    ]
    preferred = [server for server in alive if server.port == DEFAULT_PORT]
    if not alive:
        where = "" if port is None else f" on port {port}"
        raise ServerError(f"no server is running{where}: start one with make serve")
    if len(alive) > 1 and not preferred:
        running = ", ".join(str(server.port) for server in alive)
        raise ServerError(f"servers are running on the ports {running}: choose one with --port (PORT=)")
    return preferred[0] if len(alive) > 1 else alive[0]


def _runs(server: Server) -> bool:
    """False where the record's process has ended: another program may listen on its port. True where nothing tells."""
    processes = Path("/proc")
    try:
        return os.fsencode(server.config) in (processes / str(server.pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return not (processes / "self").exists()
