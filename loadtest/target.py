"""Finds the server that is tested, and its key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from archives.errors import ServerError
from archives.serving import record
from loadtest.errors import LoadTestError


@dataclass(frozen=True)
class Target:
    """A server by its `url` without a path; `token` is its inference key, None for a server without keys."""

    url: str
    token: str | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every prediction request."""
        authorization = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return {"Content-Type": "application/json"} | authorization


def find_target(port: int | None = None, servers: Path = record.SERVERS) -> Target:
    """Find the server that answers on `port`; without a port the only one, or the one on 8080.

    Raises:
        LoadTestError: none answers, there are several, or its key cannot be read.
    """
    from archives.serving import tokens  # with `requests`, which the processes that send do without

    try:
        server = record.find(port, servers)
        return Target(server.url, tokens.bearer(server).removeprefix("Bearer "))
    except ServerError as error:
        raise LoadTestError(f"{error}; a server elsewhere needs --url and --token") from error


def local_server(target: Target, servers: Path = record.SERVERS) -> record.Server | None:
    """Return the record of the target; None if it was not started from this folder, or has ended."""
    server = record.find_by_url(target.url, servers)
    return server if server and record.is_running(server) else None
