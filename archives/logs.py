"""Shows the log files of a server: their ends, and what is appended to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

LOG_FILES = ("console.log", "server.log", "workers.log")
POLL_SECONDS = 0.3


def tail(logs: Path, lines: int) -> Iterator[str]:
    """The last lines of each log file, each behind the file's name."""
    for name in LOG_FILES:
        path = logs / name
        if path.is_file():
            text = path.read_text(errors="replace")
            yield from (f"{path.stem}: {line}" for line in text.splitlines()[-lines:])


def follow(logs: Path, stopping: Callable[[], bool]) -> Iterator[str]:
    """Lines as they are appended from now on; goes on with the new file when one is rolled over."""
    positions = {name: _size(logs / name) for name in LOG_FILES}
    while not stopping():
        for name, position in positions.items():
            path = logs / name
            size = _size(path)
            start = position if size >= position else 0
            if size == start:
                positions[name] = start
                continue
            with path.open("rb") as log:
                log.seek(start)
                complete = log.read().rpartition(b"\n")[0]
            if complete:
                positions[name] = start + len(complete) + 1
                yield from (f"{path.stem}: {line}" for line in complete.decode(errors="replace").splitlines())
        time.sleep(POLL_SECONDS)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
