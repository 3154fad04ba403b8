"""Stop a server after the requests in flight, which TorchServe itself would drop: `python -m archives stop`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import requests

from archives.errors import ServerError
from archives.serving import management, record, tokens
from archives.serving.record import Server
from archives.serving.settings import DRAIN_SECONDS

POLL_SECONDS = 0.25
END_POLL_SECONDS = 0.05


def find_stoppable(port: int | None, servers: Path) -> Server:
    """Return the server to stop: the one on this port, or the only one. A record whose process is gone counts too.

    Raises:
        ServerError: there is none, or several are running and no port was given.
    """
    candidates = [server for server in record.recorded(servers) if port in {None, server.port}]
    if len(candidates) > 1:
        candidates = [server for server in candidates if record.is_running(server)]
    if not candidates:
        raise ServerError("no server is running")
    return record.only(candidates)


def stop(server: Server, *, drain: float = DRAIN_SECONDS, report: Callable[[str], None] = print) -> None:
    """Let the requests in flight finish, for up to `drain` seconds, then end the server and its workers."""
    if not record.is_running(server):
        record.remove_files(server.folder, server.temporary)
        report(f"the server of port {server.port} is already gone; its record is removed")
        return
    if not wait_until_idle(server, drain):
        report(f"still busy after {drain:g} s of waiting: stopping anyway")
    end_tree(server.pid)
    record.remove_files(server.folder, server.temporary)
    report(f"stopped the server of port {server.port}")


def wait_until_idle(server: Server, timeout: float) -> bool:
    """Wait until the server is idle or gone, and return True; return False after `timeout` seconds.

    TorchServe reports how many requests are queued, but not whether a worker is busy. An idle worker sleeps in one
    system call, so its processor time and its count of context switches stay the same from one look to the next. A busy
    one always changes them, since its model computes, or spins while a GPU does; only a handler that merely slept would
    be taken for idle.
    """
    deadline = time.monotonic() + timeout
    with tokens.local_session() as session:
        before = _activity(server)
        while time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            now = _activity(server)
            if now == before and not _is_computing(server) and not _has_queue(session, server):
                return True
            before = now
    return False


def end_tree(pid: int, timeout: float = 15) -> None:
    """Send TERM to a process, and KILL to those of its tree that still run after `timeout` seconds."""
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


def is_gone(process: psutil.Process) -> bool:
    """Return whether a process has ended. A zombie counts as ended: it holds neither memory nor ports."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _has_queue(session: requests.Session, server: Server) -> bool:
    """Return whether requests are queued for any model, or whether the server is running but does not say."""
    try:
        models = [management.describe(session, server, model, version) for model, version in server.models.items()]
    except (requests.RequestException, ServerError):
        return record.is_running(server)
    return any(model["jobQueueStatus"]["pendingRequests"] for model in models if model)


def _is_computing(server: Server) -> bool:
    """Return whether any worker is running on a core, or waiting for one on a crowded machine."""
    with contextlib.suppress(psutil.Error):
        return any(worker.status() == psutil.STATUS_RUNNING for worker in _workers(server))
    return False


def _activity(server: Server) -> list[tuple[int, float, int]]:
    """Return the process number, processor seconds and voluntary context switches of each worker."""
    activity = []
    for worker in _workers(server):
        with contextlib.suppress(psutil.Error):
            with worker.oneshot():
                spent, switches = worker.cpu_times(), worker.num_ctx_switches()
            activity.append((worker.pid, spent.user + spent.system, switches.voluntary))
    return activity


def _workers(server: Server) -> list[psutil.Process]:
    try:
        return psutil.Process(server.pid).children(recursive=True)
    except psutil.Error:
        return []


def _wait(processes: Sequence[psutil.Process], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not all(is_gone(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(END_POLL_SECONDS)
    return True
