"""Shows the log files of a server: their ends, and what is appended to them."""

from __future__ import annotations

import contextlib
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
            shown = path.read_text(errors="replace").splitlines()[-lines:] if lines > 0 else []
            yield from (f"{path.stem}: {line}" for line in shown)


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
            if complete := _complete_lines(path, start):
                positions[name] = start + len(complete) + 1
                yield from (f"{path.stem}: {line}" for line in complete.decode(errors="replace").splitlines())
        time.sleep(POLL_SECONDS)


def _complete_lines(path: Path, start: int) -> bytes:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as log:  # it may be rolled over at any time
        log.seek(start)
        return log.read().rpartition(b"\n")[0]
    return b""


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
