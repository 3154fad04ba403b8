"""Waiting for the requests in flight: TorchServe drops them when it is told to end."""

from __future__ import annotations

import contextlib
import time

import psutil
import requests

from archives.errors import ServerError
from archives.serving import processes, tokens
from archives.serving.readiness import describe
from archives.serving.record import Server

POLL_SECONDS = 0.25


def wait_until_idle(server: Server, timeout: float) -> bool:
    """True once no request waits and no worker works, or the server is gone; False when not after `timeout` seconds.

    TorchServe tells how many requests wait, not whether a worker is busy. A worker without work sleeps in one
    system call, so between two looks neither its processor time nor its count of context switches moves. Models
    compute, or spin while a GPU does, so a worker with work never looks like that; one that only slept would.
    """
    deadline = time.monotonic() + timeout
    with tokens.local_session() as session:
        before = _activity(server)
        while time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            now = _activity(server)
            if now == before and not _computing(server) and not _waiting(session, server):
                return True
            before = now
    return False


def _waiting(session: requests.Session, server: Server) -> bool:
    """True when a request is in the queue of a model, or when the server does not say so but still runs."""
    try:
        descriptions = [describe(session, server, model, version) for model, version in server.models.items()]
    except (requests.RequestException, ServerError):
        return processes.is_alive(server)
    return any(entry["jobQueueStatus"]["pendingRequests"] for entry in descriptions if entry)


def _computing(server: Server) -> bool:
    """True when a worker has a turn on the processor, or waits for one on a crowded machine."""
    with contextlib.suppress(psutil.Error):
        return any(worker.status() == psutil.STATUS_RUNNING for worker in _workers(server))
    return False


def _activity(server: Server) -> list[tuple[int, float, int]]:
    """Process number, processor seconds and voluntary context switches of each worker."""
    looks = []
    for worker in _workers(server):
        with contextlib.suppress(psutil.Error):
            with worker.oneshot():
                spent, switches = worker.cpu_times(), worker.num_ctx_switches()
            looks.append((worker.pid, spent.user + spent.system, switches.voluntary))
    return looks


def _workers(server: Server) -> list[psutil.Process]:
    try:
        return psutil.Process(server.pid).children(recursive=True)
    except psutil.Error:
        return []
