"""Records of servers, and what stands in for their Java process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archives.serving.record import CONFIG, Server


def new_server(folder: Path, *, port: int = 18080, pid: int = 1) -> Server:
    """Of one model with one worker; all its APIs are on one port. Process 1 always runs, and is none of its own."""
    return Server(folder, "127.0.0.1", port, port, port, (port, port), {"echo": "1.0"}, 1, 0, folder / "tmp", pid)


@contextmanager
def process_of(folder: Path) -> Iterator[int]:
    """The number of a process that does nothing, started with the configuration of this folder's server."""
    command = ["sh", "-c", "echo; read line", "sh", folder.resolve() / CONFIG]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()  # before, the system may not know its command line
        try:
            yield process.pid
        finally:
            process.kill()
