"""One real TorchServe for the whole session, started through the command line on free ports."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from archives.build import build_archive
from archives.serving import ports, processes, record, tokens
from archives.serving.record import Server

MODEL, QA = "tiny", "tiny_qa"
SECRET = "xylophone-7fd2"


def archives(*arguments: str | Path, timeout: float = 180) -> subprocess.CompletedProcess[str]:
    """Runs `python -m archives` to its end."""
    command = [sys.executable, "-m", "archives", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def serve(store: Path, servers: Path, *options: str) -> Server:
    """Starts a server on free ports with one worker per model, unless the options say otherwise."""
    result = archives("serve", "--store", store, "--servers", servers, "--port", "0", "--workers", "1", *options)
    assert result.returncode == 0, result.stdout + result.stderr
    port = re.search(r"starting TorchServe on port (\d+)", result.stdout)
    assert port
    return record.find(int(port[1]), servers)


@dataclass(frozen=True)
class Served:
    """A running server, asked with its own token."""

    server: Server
    session: requests.Session

    def post(self, path: str = MODEL, **request: Any) -> requests.Response:
        """POST to /predictions/<path>; `headers` come on top of the token."""
        headers = {"Authorization": tokens.bearer(self.server)} | request.pop("headers", {})
        return self.session.post(f"{self.server.url}/predictions/{path}", headers=headers, timeout=60, **request)


@pytest.fixture(scope="session")
def store(tiny_runs: Path, tiny_qa_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that classifies and one that answers questions."""
    folder = tmp_path_factory.mktemp("store")
    build_archive(MODEL, tiny_runs, folder)
    build_archive(QA, tiny_qa_runs, folder)
    return folder


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of this session's servers; whatever still runs at the end is stopped."""
    folder = tmp_path_factory.mktemp("servers")
    yield folder
    for server in record.recorded(folder):
        stopped = archives("stop", "--servers", folder, "--port", str(server.port))
        if processes.is_alive(server):
            os.kill(server.pid, signal.SIGKILL)
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr
        assert all(ports.is_free(server.host, port) for port in server.all_ports)


@pytest.fixture(scope="session")
def served(store: Path, servers: Path) -> Iterator[Served]:
    """The shared server: two workers for each model, so that requests run side by side."""
    server = serve(store, servers, "--workers", "2")
    with tokens.local_session() as session:
        yield Served(server, session)
