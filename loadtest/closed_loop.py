"""Measures with a closed loop of clients: each sends its next request when the answer to the last one has come.

Plain asyncio on connections that stay open, made to take little of the processor that it shares with the server;
answers are checked after the measurement. The load test proper uses Locust.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from loadtest.checks import response_error
from loadtest.connection import Connection, connect, request_bytes
from loadtest.errors import LoadTestError
from loadtest.workload import RequestSet

WARM_UP_SECONDS = 1.0
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Measurement:
    """Rate and latencies (milliseconds) of right answers.

    `requests` and `failures`, wrong answers among them, are counts; `generator_cores` is the processor time a second
    that the clients took.
    """

    requests_per_second: float
    p50: float
    p95: float
    p99: float
    requests: int
    failures: int
    generator_cores: float


@dataclass(frozen=True)
class Exchange:
    """A request by its sample's number among those of all sets, when it went out, and its answer when complete."""

    sample: int
    sent: float
    done: float
    status: int
    body: bytes


def measure(sets: Sequence[RequestSet], clients: int, seconds: float) -> Measurement:
    """Run the loop, after a short one that is not counted; every client gets its last answer before this returns.

    Each client sends the samples of all sets, which are for one server.

    Raises:
        LoadTestError: the server closed a connection, did not answer in time, or gave no right answer.
    """
    return asyncio.run(_measure(sets, clients, seconds))


async def _measure(sets: Sequence[RequestSet], clients: int, seconds: float) -> Measurement:
    requests = [request for one in sets for request in request_bytes(one)]
    connections: list[Client] = []
    try:
        for client in range(clients):
            factory = partial(Client, requests, _order(len(requests), client))
            connections.append(await connect(factory, sets[0].target.url))
        # Not before all are connected, which takes its time where the server is far away.
        begin = time.perf_counter() + WARM_UP_SECONDS
        end = begin + seconds
        for connection in connections:
            connection.start(end)
        await asyncio.sleep(begin - time.perf_counter())
        spent = time.process_time()
        await asyncio.sleep(end - time.perf_counter())
        spent = time.process_time() - spent
        await _last_answers(connections)
    except (asyncio.TimeoutError, OSError) as error:
        reason = str(error) or "no answer in time"
        raise LoadTestError(f"the server failed under {clients} clients: {reason}") from error
    counted = [exchange for connection in connections for exchange in connection.exchanges]
    return summarise([exchange for exchange in counted if begin <= exchange.done <= end], sets, seconds, spent)


class Client(Connection):
    """A connection that sends its next request when the answer to the last one has come."""

    def __init__(self, requests: Sequence[bytes], order: Iterator[int]) -> None:
        self.exchanges: list[Exchange] = []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._order = order

    def start(self, end: float) -> None:
        """Send until `end`, by perf_counter."""
        self._end = end
        self._next()

    def answered(self, status: int, body: bytes) -> None:
        done = time.perf_counter()
        self.exchanges.append(Exchange(self._sample, self._sent, done, status, body))
        if done < self._end:
            self._next()
        else:
            self.close()

    def lost(self, error: Exception | None) -> None:
        if self.finished.done():
            return
        if error is None and self.exchanges and self.exchanges[-1].done >= self._end:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error or ConnectionError("it closed a connection"))

    def _next(self) -> None:
        self._sample = next(self._order)
        self._sent = time.perf_counter()
        self.send(self._requests[self._sample])


async def _last_answers(connections: Sequence[Client]) -> None:
    """Wait for as long as some answers come: a server may be slow, and well, with many requests to answer."""
    answers = asyncio.gather(*(connection.finished for connection in connections))
    before = len(connections) + 1
    while before > (waiting := sum(not connection.finished.done() for connection in connections)):
        before = waiting
        await asyncio.wait([answers], timeout=TIMEOUT_SECONDS)
    if not answers.done():
        answers.cancel()
        raise asyncio.TimeoutError
    await answers


def summarise(exchanges: Sequence[Exchange], sets: Sequence[RequestSet], seconds: float, spent: float) -> Measurement:
    """Summarise the exchanges that ended within the measured `seconds`; check each answer.

    Raises:
        LoadTestError: there were none, or none that was right.
    """
    if not exchanges:
        raise LoadTestError(f"no answer within {seconds:g} s: measure for longer")
    sent = [(sample, one.labels) for one in sets for sample in one.samples]
    errors = [response_error(exchange.status, exchange.body, *sent[exchange.sample]) for exchange in exchanges]
    # Refusals come fast: they would make a server that fails look quick.
    right = [exchange for exchange, error in zip(exchanges, errors, strict=True) if error is None]
    if not right:
        raise LoadTestError(f"none of {len(exchanges)} answers was right: {errors[0]}")
    latencies = np.array([exchange.done - exchange.sent for exchange in right]) * 1000
    p50, p95, p99 = (round(float(value), 2) for value in np.percentile(latencies, [50, 95, 99]))
    return Measurement(
        requests_per_second=round(len(right) / seconds, 2),
        p50=p50,
        p95=p95,
        p99=p99,
        requests=len(exchanges),
        failures=len(exchanges) - len(right),
        generator_cores=round(spent / seconds, 3),
    )


def _order(samples: int, client: int) -> Iterator[int]:
    """Yield sample numbers forever, in an order that differs between clients and is the same in every run."""
    numbers = random.Random(client).sample(range(samples), samples)
    while True:
        yield from numbers
