"""Make records of servers, and a process that stands in for their Java process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archives.serving.record import CONFIG, Server


def new_server(folder: Path, *, port: int = 18080, pid: int = 1) -> Server:
    """Return a server of one model with one worker and all APIs on one port. Process 1 runs, but is not this server."""
    return Server(folder, "127.0.0.1", port, port, port, (port, port), {"echo": "1.0"}, 1, 0, folder / "tmp", pid)


@contextmanager
def process_of(folder: Path) -> Iterator[int]:
    """Start a process that does nothing, with the configuration of this folder's server; give its number."""
    command = ["sh", "-c", "echo; read line", "sh", folder.resolve() / CONFIG]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()  # until then, the system may not know its command line
        try:
            yield process.pid
        finally:
            process.kill()
