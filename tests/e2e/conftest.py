"""One real TorchServe for the whole session, started through the command line on free ports."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from archives.build import build_archive
from archives.serving import ports, record, tokens
from tests.support.served import MODEL, QA, Served, archives, serve


@pytest.fixture(scope="session")
def store(tiny_runs: Path, tiny_qa_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a model that classifies and one that answers questions."""
    folder = tmp_path_factory.mktemp("store")
    build_archive(MODEL, tiny_runs, folder)
    build_archive(QA, tiny_qa_runs, folder)
    return folder


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the folder of this session's servers; whatever still runs at the end is stopped."""
    folder = tmp_path_factory.mktemp("servers")
    yield folder
    for server in record.recorded(folder):
        stopped = archives("stop", "--servers", folder, "--port", str(server.port))
        if record.is_running(server):
            os.kill(server.pid, signal.SIGKILL)
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr
        assert all(ports.is_free(server.host, port) for port in server.all_ports)


@pytest.fixture(scope="session")
def served(store: Path, servers: Path) -> Iterator[Served]:
    """Start the shared server: two workers for each model, so that requests run side by side."""
    server, _ = serve(store, servers, "--workers", "2")
    with tokens.local_session() as session:
        yield Served(server, session)
