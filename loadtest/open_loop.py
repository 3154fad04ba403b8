"""Send requests in an open loop: at random times (Poisson) with a given rate, whether or not earlier ones are answered.

Latency counts from the time a request was due. If a server stalls for a second, all requests of that second show it,
as real users would notice; a closed loop would not have sent them ("coordinated omission").
"""

from __future__ import annotations

import asyncio
import resource
import select
import selectors
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import active_children, get_context
from typing import Any

import numpy as np

from loadtest.checks import response_error
from loadtest.connection import Connection, connect, request_bytes
from loadtest.errors import LoadTestError
from loadtest.generator import LoadGenerator, Meter, Run, together
from loadtest.recording import Recorder, merged
from loadtest.stages import Stage, arrivals
from loadtest.workload import Workload

WARM_UP_SECONDS = 1.0
START_SECONDS = 3.0
# Connections opened before the first request; others are opened whenever all of them wait for an answer.
CONNECTIONS = 16
# Number of distinct answers whose check is cached.
MAX_REMEMBERED = 65536


def run(workload: Workload, processes: int = 1, seed: int = 0) -> Run:
    """Send from several processes, each at an equal part of the rate; their sum is a Poisson process again.

    The requests of a short warm-up are not recorded.

    Raises:
        LoadTestError: the server accepts no connection.
    """
    part = replace(workload, stages=[Stage(stage.seconds, stage.load / processes) for stage in workload.stages])
    # All processes begin at the same time, once each of them has started.
    begin = time.time() + WARM_UP_SECONDS + START_SECONDS * (processes > 1)
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        try:
            sending = [pool.submit(_in_this_process, part, (seed, number), begin) for number in range(processes)]
            runs = [one.result() for one in sending]
        except BaseException:
            for child in active_children():  # otherwise the pool would wait until they have sent everything
                child.terminate()
            raise
    shifted = [one.recording.shifted(one.origin - runs[0].origin) for one in runs]
    return Run(merged(shifted), together([one.generator for one in runs]), runs[0].origin)


def _in_this_process(workload: Workload, seed: Sequence[int], begin: float) -> Run:
    _allow_connections()
    loop = asyncio.SelectorEventLoop(_selector())
    try:
        return loop.run_until_complete(_send(workload, np.random.default_rng(seed), begin))
    finally:
        loop.close()


async def _send(workload: Workload, rng: np.random.Generator, begin: float) -> Run:
    sender = Sender(workload)
    await sender.connect()
    warm_up = arrivals([Stage(WARM_UP_SECONDS, workload.stages[0].load)], rng) - WARM_UP_SECONDS
    times = np.concatenate((warm_up, arrivals(workload.stages, rng)))
    models = rng.choice(len(workload.sets), len(times), p=workload.shares)
    picks = rng.random(len(times))
    origin = max(begin, time.time() + WARM_UP_SECONDS)
    await sender.send(times, models, picks, time.perf_counter() + origin - time.time())
    sent = sender.recorder.recording().between(0, np.inf)
    return Run(sent, LoadGenerator([sender.cores], sent.lag), origin)


class Sender:
    """A pool of connections that sends each request over an idle one."""

    def __init__(self, workload: Workload) -> None:
        self.recorder = Recorder()
        self.cores = 0.0
        self._workload = workload
        self._requests = [request_bytes(requests) for requests in workload.sets]
        self._idle: list[Channel] = []
        self._waiting: set[Channel] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._begin = 0.0

    async def connect(self) -> None:
        """Open the first connections. Raises LoadTestError if the server accepts none."""
        try:
            self._idle = [await self._connected() for _ in range(CONNECTIONS)]
        except OSError as error:
            raise LoadTestError(f"{self._workload.target.url} takes no connection: {error}") from error

    async def send(self, times: np.ndarray, models: np.ndarray, picks: np.ndarray, begin: float) -> None:
        """Send requests `times` after `begin` (by perf_counter); return when all are answered or given up."""
        self._begin, meter = begin, Meter()
        self._watch()
        for due, model, pick in zip((begin + times).tolist(), models.tolist(), picks.tolist(), strict=True):
            # Even when late, yield to the event loop, so that answers are read.
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            self._take(Exchange(due, model, int(pick * len(self._requests[model]))))
        self.cores = meter.cores()
        while self._waiting or self._opening:
            await asyncio.sleep(0.05)
        self._watching.cancel()
        for channel in self._idle:
            channel.close()

    def finished(self, exchange: Exchange, status: int, body: bytes | None, error: str | None = None) -> None:
        done = time.perf_counter()
        reason = error or self._error(exchange.model, exchange.sample, status, body)
        self.recorder.add(
            exchange.due - self._begin, done - exchange.due, exchange.sent - exchange.due, exchange.model, reason
        )

    def idle(self, channel: Channel) -> None:
        self._waiting.discard(channel)
        self._idle.append(channel)

    def forget(self, channel: Channel) -> None:
        self._waiting.discard(channel)
        if channel in self._idle:
            self._idle.remove(channel)

    def _take(self, exchange: Exchange) -> None:
        if self._idle:
            self._hand(exchange, self._idle.pop())
        else:
            task = asyncio.ensure_future(self._hand_to_new(exchange))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _hand(self, exchange: Exchange, channel: Channel) -> None:
        self._waiting.add(channel)
        channel.ask(exchange, self._requests[exchange.model][exchange.sample])

    async def _hand_to_new(self, exchange: Exchange) -> None:
        # The request counts as sent from here: a server's delay in accepting connections is no lag of the generator.
        exchange.sent = time.perf_counter()
        try:
            channel = await asyncio.wait_for(self._connected(), self._workload.timeout)
        except (OSError, asyncio.TimeoutError) as error:
            self.finished(exchange, 0, None, f"no connection: {getattr(error, 'strerror', None) or 'not in time'}")
            return
        self._hand(exchange, channel)

    async def _connected(self) -> Channel:
        return await connect(lambda: Channel(self), self._workload.target.url)

    def _watch(self) -> None:
        """Give up the requests that were not answered in time, once a second."""
        limit = time.perf_counter() - self._workload.timeout
        for channel in list(self._waiting):
            if channel.exchange and channel.exchange.due < limit:
                channel.give_up(self._workload.timeout)
        self._watching = asyncio.get_running_loop().call_later(1, self._watch)

    @lru_cache(maxsize=MAX_REMEMBERED)  # noqa: B019 - one sender lives as long as its process
    def _error(self, model: int, sample: int, status: int, body: bytes | None) -> str | None:
        requests = self._workload.sets[model]
        return response_error(status, body, requests.samples[sample], requests.labels)


@dataclass(slots=True)
class Exchange:
    """A request with the times when it was due and when it was sent, by perf_counter."""

    due: float
    model: int
    sample: int
    sent: float = 0.0


class Channel(Connection):
    """A connection that is waiting for the answer to `exchange`, or is idle."""

    def __init__(self, sender: Sender) -> None:
        self.exchange: Exchange | None = None
        self._sender = sender

    def ask(self, exchange: Exchange, request: bytes) -> None:
        self.exchange = exchange
        exchange.sent = exchange.sent or time.perf_counter()
        self.send(request)

    def answered(self, status: int, body: bytes) -> None:
        if self.exchange is None:
            return
        self._sender.finished(self.exchange, status, body)
        self.exchange = None
        if self.reusable:
            self._sender.idle(self)
        else:
            self.close()

    def lost(self, error: Exception | None) -> None:
        self._end(f"the connection was closed{f': {error}' if error else ''}")

    def give_up(self, seconds: float) -> None:
        self._end(f"no answer within {seconds:g} s")
        self.abort()

    def _end(self, reason: str) -> None:
        if self.exchange is not None:
            self._sender.finished(self.exchange, 0, None, reason)
            self.exchange = None
        self._sender.forget(self)


def _allow_connections() -> None:
    """Raise the limit of open files: with a slow server, many requests wait, each on its own connection."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def _selector() -> selectors.BaseSelector:
    """Return a selector that wakes in time: epoll waits for whole milliseconds, half a millisecond late on average."""
    if not hasattr(selectors, "EpollSelector"):
        return selectors.DefaultSelector()

    class PreciseSelector(selectors.EpollSelector):
        def select(self, timeout: float | None = None) -> list[Any]:
            if timeout is not None and timeout > 0:
                select.select([self.fileno()], [], [], timeout)
                timeout = 0
            return super().select(timeout)

    return PreciseSelector()
