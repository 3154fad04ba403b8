"""Run `python -m archives` as a person does, and send requests to the servers that it starts."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from archives.serving import record, tokens
from archives.serving.record import Server

MODEL, QA = "tiny", "tiny_qa"
# Seconds until the models have to be ready; the default of 120 is too short on a machine that runs much else.
PATIENCE = ("--timeout", "300")


def archives(*arguments: str | Path, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    """Run `python -m archives` until it ends."""
    command = [sys.executable, "-m", "archives", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def serve(store: Path, servers: Path, *options: str) -> tuple[Server, str]:
    """Start a server on free ports with one worker per model, unless the options say otherwise; and what it printed."""
    result = archives(
        "serve", "--store", store, "--servers", servers, "--port", "0", "--workers", "1", *PATIENCE, *options
    )
    assert result.returncode == 0, result.stdout + result.stderr
    port = re.search(r"starting TorchServe on port (\d+)", result.stdout)
    assert port
    return record.find(int(port[1]), servers), result.stdout


@dataclass(frozen=True)
class Served:
    """Send requests to a running server with its key."""

    server: Server
    session: requests.Session

    def post(self, path: str = MODEL, **request: Any) -> requests.Response:
        """Send a POST to /predictions/<path> with the key and these `headers`."""
        headers = {"Authorization": tokens.bearer(self.server)} | request.pop("headers", {})
        return self.session.post(f"{self.server.url}/predictions/{path}", headers=headers, timeout=60, **request)
