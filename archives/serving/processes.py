"""End the Java process of a server and the worker processes below it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import psutil

POLL_SECONDS = 0.05


def is_gone(process: psutil.Process) -> bool:
    """Return whether a process has ended; one that nobody waited for counts: it holds neither memory nor ports."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end_tree(pid: int, timeout: float = 15) -> None:
    """End a process and everything below it: TERM to the top, KILL for what is left after `timeout` seconds."""
    try:
        top = psutil.Process(pid)
        tree = [top, *top.children(recursive=True)]
        top.terminate()
    except psutil.NoSuchProcess:
        return
    if _wait(tree, timeout):
        return
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _wait(tree, timeout)


def _wait(processes: Sequence[psutil.Process], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not all(is_gone(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
