"""Where a server listens and its inference key, read from the files that `python -m archives serve` keeps."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadtest.errors import LoadTestError

SERVERS = Path(__file__).parent.parent / "runs" / "servers"
DEFAULT_PORT = 8080


@dataclass(frozen=True)
class Target:
    """`url` without a path, and the key that goes into `Authorization: Bearer`; None for a server without keys."""

    url: str
    token: str | None

    @property
    def headers(self) -> dict[str, str]:
        """Of every prediction request."""
        authorization = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return {"Content-Type": "application/json"} | authorization


def find_target(port: int | None = None, servers: Path = SERVERS) -> Target:
    """The server answering on `port`; without a port the only one, or the one on 8080.

    Raises:
        LoadTestError: none answers, there are several, or its key cannot be read.
    """
    records = {record["port"]: path.parent for path in servers.glob("*/server.json") if (record := _record(path))}
    alive = {number: folder for number, folder in records.items() if port in {None, number} and _answers(folder)}
    if not alive:
        where = "" if port is None else f" on port {port}"
        raise LoadTestError(f"no server is running{where}: start one with make serve, or give --url and --token")
    if len(alive) > 1 and DEFAULT_PORT not in alive:
        listed = ", ".join(map(str, sorted(alive)))
        raise LoadTestError(f"servers are running on the ports {listed}: choose one with --port (PORT=)")
    folder = alive.get(DEFAULT_PORT) or next(iter(alive.values()))
    try:
        token = json.loads((folder / "key_file.json").read_text())["inference"]["key"]
    except (OSError, ValueError, KeyError) as error:
        raise LoadTestError(f"cannot read the key of the server in {folder}: {error}") from error
    return Target(_url(folder), token)


@dataclass(frozen=True)
class Local:
    """A server on this machine: its Java process, and where its metrics are."""

    pid: int
    metrics: str


def local_server(target: Target, servers: Path = SERVERS) -> Local | None:
    """What is known of the target's processes; None where it was not started from this folder."""
    for path in servers.glob("*/server.json"):
        if (record := _record(path)) and record["urls"]["inference"] == target.url:
            return Local(record["pid"], record["urls"]["metrics"])
    return None


def _record(path: Path) -> dict[str, Any] | None:
    """A server that is starting or stopping may have half a record; one that was killed leaves it."""
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        return record if {"port", "urls", "pid"} <= set(record) and _runs(path.parent, record["pid"]) else None
    except (OSError, ValueError):
        return None


def _runs(folder: Path, pid: int) -> bool:
    """False where the process has ended: another program may listen on its port. True where nothing tells."""
    processes, config = Path("/proc"), folder.resolve() / "config.properties"
    try:
        return os.fsencode(config) in (processes / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return not (processes / "self").exists()


def _url(folder: Path) -> str:
    return str(json.loads((folder / "server.json").read_text())["urls"]["inference"])


def _answers(folder: Path) -> bool:
    address = urlsplit(_url(folder))
    try:
        with socket.create_connection((address.hostname, address.port), timeout=1):
            return True
    except OSError:
        return False
