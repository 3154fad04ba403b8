"""Run `python -m archives` as a person does, and ask the servers that it starts."""

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
