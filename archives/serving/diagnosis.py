"""Why a server or one of its workers failed, read from the logs of TorchServe."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

from archives.serving.logs import tail

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
    """The first failure a worker reported: its exception, then the end of its traceback. None without one."""
    threads: dict[str, list[str]] = {}
    for line in _read(logs / "workers.log").splitlines():
        if match := LINE.match(line):
            threads.setdefault(match["thread"], []).append(match["message"])
    for messages in threads.values():
        for index, message in enumerate(messages):
            if FAILURES.search(message):
                return _root_cause(_block(messages[index + 1 :])) or message
    return None


def _block(messages: list[str]) -> list[str]:
    """The messages up to the next failure a worker reports."""
    return list(takewhile(lambda message: not FAILURES.search(message), messages))


def registration_failure(logs: Path) -> str | None:
    """Why the frontend could not register an archive; None when it registered all of them."""
    lines = _read(logs / "server.log").splitlines()
    for index, line in enumerate(lines):
        if REGISTRATION.search(line):
            return "\n".join(lines[index : index + SHOWN_LINES])
    return None


def last_lines(logs: Path) -> str:
    """The end of every log, for a failure that left no traceback."""
    return "\n".join(tail(logs, SHOWN_LINES)) or "the logs are empty"


def _root_cause(messages: list[str]) -> str | None:
    """The last exception of a chain that is not TorchServe's own second attempt at the import."""
    chain: list[list[str]] = []
    for message in messages:
        if message == TRACEBACK:
            chain.append([])
        elif chain and message and not CHAIN.match(message):
            chain[-1].append(message)
    exceptions = [traceback for traceback in chain if _exception(traceback)]
    own = [traceback for traceback in exceptions if SECOND_ATTEMPT not in _exception(traceback)]
    chosen = (own or exceptions)[-1:]
    if not chosen:
        return None
    frames = [line for line in chosen[0] if line.startswith(" ")]
    words = [line for line in chosen[0] if not line.startswith(" ")]
    return "\n".join([*words, *frames[-SHOWN_LINES:]])


def _exception(traceback: list[str]) -> str:
    """The exception's own line: the first one after the frames."""
    return next((line for line in traceback if not line.startswith(" ")), "")


def _read(log: Path) -> str:
    return log.read_text(errors="replace") if log.is_file() else ""
