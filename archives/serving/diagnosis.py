"""Show the logs of a server, and find in them why it or one of its workers failed."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

from archives.errors import ServerError
from archives.serving import record

LOG_FILES = ("console.log", "server.log", "workers.log")
POLL_SECONDS = 0.3
LINE = re.compile(r"^\S+ +[A-Z]+ +(?P<thread>\S+) - (?P<message>.*)$")
FAILURES = re.compile(
    r"Backend worker process died|Failed to load model|Load model .* OOM|Invoking custom service failed"
)
REGISTRATION = re.compile(r"Failed to load model: ")
CHAIN = re.compile(r"^(During handling of the above exception|The above exception was the direct cause)")
TRACEBACK = "Traceback (most recent call last):"
# TorchServe looks among its own handlers when importing the packed one failed, and reports that second failure.
SECOND_ATTEMPT = "ts.torch_handler."
SHOWN_LINES = 12


def worker_failure(logs: Path) -> str | None:
    """Return the first failure a worker reported: its exception, then the end of its traceback. None without one."""
    threads: dict[str, list[str]] = {}
    for line in _read(logs / "workers.log").splitlines():
        if match := LINE.match(line):
            threads.setdefault(match["thread"], []).append(match["message"])
    for messages in threads.values():
        for index, message in enumerate(messages):
            if FAILURES.search(message):
                report = takewhile(lambda line: not FAILURES.search(line), messages[index + 1 :])
                return _root_cause(list(report)) or message
    return None


def registration_failure(logs: Path) -> str | None:
    """Return why the frontend could not register an archive; None when it registered all of them."""
    lines = _read(logs / "server.log").splitlines()
    for index, line in enumerate(lines):
        if REGISTRATION.search(line):
            return "\n".join(lines[index : index + SHOWN_LINES])
    return None


def last_lines(logs: Path) -> str:
    """Return the end of every log, for a failure that left no traceback."""
    return "\n".join(tail(logs, SHOWN_LINES)) or "the logs are empty"


def find_logs(port: int | None, servers: Path) -> Path:
    """Return the logs of the running server, or those of the last run on a port: they outlive their server.

    Raises:
        ServerError: no server is running, and none has left logs.
    """
    with contextlib.suppress(ServerError):
        return record.find(port, servers).logs
    folder = servers / str(port or record.DEFAULT_PORT) / "logs"
    if not folder.is_dir():
        raise ServerError(f"no server is running, and there are no logs in {folder}: start a server with make serve")
    return folder


def tail(logs: Path, lines: int) -> Iterator[str]:
    """Yield the last lines of each log file, each behind the file's name."""
    for name in LOG_FILES:
        path = logs / name
        if path.is_file():
            shown = _read(path).splitlines()[-lines:] if lines > 0 else []
            yield from (f"{path.stem}: {line}" for line in shown)


def follow(logs: Path, stopping: Callable[[], bool]) -> Iterator[str]:
    """Yield lines as they are appended from now on, and go on with the new file when one is rolled over."""
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


def _root_cause(messages: list[str]) -> str | None:
    """Return the last exception of a chain that is not TorchServe's own second attempt at the import."""
    chain: list[list[str]] = []
    for message in messages:
        if message == TRACEBACK:
            chain.append([])
        elif chain and message and not CHAIN.match(message):
            chain[-1].append(message)
    tracebacks = [traceback for traceback in chain if _exception(traceback)]
    first_attempts = [traceback for traceback in tracebacks if SECOND_ATTEMPT not in _exception(traceback)]
    if not tracebacks:
        return None
    root = (first_attempts or tracebacks)[-1]
    frames = [line for line in root if line.startswith(" ")]
    exception = [line for line in root if not line.startswith(" ")]
    return "\n".join([*exception, *frames[-SHOWN_LINES:]])


def _exception(traceback: list[str]) -> str:
    """Return the exception's own line: the first one after the frames."""
    return next((line for line in traceback if not line.startswith(" ")), "")


def _complete_lines(path: Path, start: int) -> bytes:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as log:  # it may be rolled over at any time
        log.seek(start)
        return log.read().rpartition(b"\n")[0]
    return b""


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _read(log: Path) -> str:
    return log.read_text(errors="replace") if log.is_file() else ""
