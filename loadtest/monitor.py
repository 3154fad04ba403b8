"""Watches the machine and the server during a load test, once a second."""

from __future__ import annotations

import re
import threading
import time
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType

import psutil

from archives.serving.record import Server

PERIOD_SECONDS = 1.0
TIMEOUT_SECONDS = 2.0
MEBIBYTE = 2**20
LINE = re.compile(r"^(\w+)\{(.*)\} ([-+.\dEe]+)", re.MULTILINE)
MODEL = re.compile(r'(?:ModelName|model_name)="([^"]*)"')
# Names of metrics, as configs/serving/metrics.yaml has them.
REQUESTS, BATCHES = "ts_inference_requests_total", "batch_fill_count"
TOKENS, RUN_TOKENS = "tokens_total", "padded_tokens_total"


@dataclass(frozen=True)
class Work:
    """Work of the workers, counted since the server's start; `run_tokens` are `tokens` and padding."""

    requests: float = 0.0
    batches: float = 0.0
    tokens: float = 0.0
    run_tokens: float = 0.0

    def since(self, before: Work) -> Work:
        return Work(
            self.requests - before.requests,
            self.batches - before.batches,
            self.tokens - before.tokens,
            self.run_tokens - before.run_tokens,
        )

    @property
    def batch_size(self) -> float | None:
        """Mean number of requests in a batch; None without any batch."""
        return self.requests / self.batches if self.batches else None

    @property
    def padding_share(self) -> float | None:
        """Share of padding among all the tokens that the model ran; None without any."""
        return 1 - self.tokens / self.run_tokens if self.run_tokens else None


def read_work(text: str, models: Collection[str]) -> Work:
    """Add up the work of some models from the server's metrics, in the text format of Prometheus."""
    totals = dict.fromkeys((REQUESTS, BATCHES, TOKENS, RUN_TOKENS), 0.0)
    for name, labels, value in LINE.findall(text):
        if name in totals and (model := MODEL.search(labels)) and model[1] in models:
            totals[name] += float(value)
    return Work(totals[REQUESTS], totals[BATCHES], totals[TOKENS], totals[RUN_TOKENS])


@dataclass(frozen=True)
class Reading:
    """State of the machine at `time` (seconds since 1970) and over the period before it.

    `machine` is the share of all its cores that was busy, with everything that ran on it. `server_cores` and
    `server_mib` are processor seconds a second and resident memory of Java and the workers together, in which shared
    pages count once for each process. None where the server is elsewhere, or was not asked.
    """

    time: float
    machine: float
    server_cores: float | None = None
    server_mib: float | None = None
    work: Work | None = None


class Monitor:
    """Takes readings in a thread for the length of a `with`."""

    def __init__(self, server: Server | None, models: Collection[str]) -> None:
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
        if self._server is None:
            return None
        try:
            with urllib.request.urlopen(self._server.metrics_url, timeout=TIMEOUT_SECONDS) as answer:
                return read_work(answer.read().decode(), self._models)
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
        """Return processor seconds a second since the last call, and resident MiB; None if the process is gone."""
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
