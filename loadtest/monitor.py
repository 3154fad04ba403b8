"""What the machine and the server do during a load test, looked at once a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType

import psutil

from loadtest.server_metrics import Work, fetch
from loadtest.target import Local

PERIOD_SECONDS = 1.0
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Reading:
    """At `time` (seconds since the epoch), and over the period before it.

    `machine` is the share of all its cores that was busy, with everything that ran on it. Of the server, Java and
    workers together: processor seconds a second and resident MiB, in which shared pages count once for each process.
    None where the server is elsewhere, or was not asked.
    """

    time: float
    machine: float
    server_cores: float | None = None
    server_mib: float | None = None
    work: Work | None = None


class Monitor:
    """Reads in a thread for the length of a `with`."""

    def __init__(self, server: Local | None, models: Collection[str]) -> None:
        self.readings: list[Reading] = []
        self._server, self._models = server, models
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Monitor:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        processes = Processes(self._server.pid) if self._server else None
        done = self._work()
        psutil.cpu_percent()
        while not self._end.wait(PERIOD_SECONDS):
            cores, memory = processes.read() if processes else (None, None)
            before, done = done, self._work()
            work = done.since(before) if done and before else None
            self.readings.append(Reading(time.time(), psutil.cpu_percent() / 100, cores, memory, work))

    def _work(self) -> Work | None:
        try:
            return fetch(self._server.metrics, self._models) if self._server else None
        except (OSError, ValueError):
            return None


class Processes:
    """A process with all that it started."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._spent: dict[int, float] = {}
        self._time = time.perf_counter()
        self.read()

    def read(self) -> tuple[float | None, float | None]:
        """Processor seconds a second since the last call, and resident MiB; None where the process is gone."""
        try:
            parent = psutil.Process(self._pid)
            members = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return None, None
        spent, memory = {}, 0
        for member in members:
            try:
                times = member.cpu_times()
                memory += member.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            spent[member.pid] = times.user + times.system
        now = time.perf_counter()
        cores = sum(value - self._spent.get(pid, 0.0) for pid, value in spent.items()) / max(now - self._time, 1e-9)
        self._spent, self._time = spent, now
        return cores, memory / MEBIBYTE
