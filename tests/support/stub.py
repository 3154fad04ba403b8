"""Run a small HTTP server with known delays in a separate process: `python -m tests.support.stub`, see `Behaviour`."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

ANSWER = {"label": "a", "score": 0.9}


@dataclass(frozen=True)
class Behaviour:
    """Set when and how the stub answers, in seconds from the first request.

    Every request is answered after `delay`; from `stall_at` on nothing is answered for `stall`. `capacity` requests a
    second are answered one after the other, None: all at once. From `refuse_at` on the status is 503; every
    `slow_every`-th answer takes `slow` instead of `delay`. `gone_at` closes connections instead of answering.
    """

    delay: float = 0.0
    stall_at: float = float("inf")
    stall: float = 0.0
    capacity: float | None = None
    refuse_at: float = float("inf")
    gone_at: float = float("inf")
    slow_every: int = 0
    slow: float = 0.0


class Connection(asyncio.Protocol):
    """Answer each POST when `Clock` says so, and a GET at once with the number of requests so far."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET"):
            self._write(200, str(self._clock.count).encode())
            return
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if not separator or len(body) < length:
            return
        self._received = b""
        when, status = self._clock.next()
        asyncio.get_running_loop().call_at(when, self._answer, status)

    def _answer(self, status: int) -> None:
        if not status:
            self._transport.close()
            return
        self._write(status, json.dumps(ANSWER if status == 200 else {"code": status, "type": "Busy"}).encode())

    def _write(self, status: int, body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))


class Clock:
    """Decide when the next request is answered and with which status; 0 closes the connection."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._start: float | None = None
        self._free = 0.0
        self.count = 0

    def next(self) -> tuple[float, int]:
        behaviour, now = self._behaviour, asyncio.get_running_loop().time()
        self._start = now if self._start is None else self._start
        self.count += 1
        passed = now - self._start
        slow = behaviour.slow_every and self.count % behaviour.slow_every == 0
        when = now + (behaviour.slow if slow else behaviour.delay)
        if behaviour.capacity:
            self._free = max(self._free, now) + 1 / behaviour.capacity
            when = max(when, self._free)
        if behaviour.stall_at <= passed < behaviour.stall_at + behaviour.stall:
            when = max(when, self._start + behaviour.stall_at + behaviour.stall)
        return when, 0 if passed >= behaviour.gone_at else 503 if passed >= behaviour.refuse_at else 200


@contextlib.contextmanager
def stub(behaviour: Behaviour) -> Iterator[str]:
    """Start a stub and yield its URL; stop it at the end of the `with`."""
    command = [sys.executable, "-m", "tests.support.stub", json.dumps(asdict(behaviour))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def requests_to(url: str) -> int:
    """Return the number of requests that a stub has had so far."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", "/")
    with contextlib.closing(connection):
        return int(connection.getresponse().read())


async def _serve(behaviour: Behaviour) -> None:
    clock = Clock(behaviour)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(clock), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Behaviour(**json.loads(sys.argv[1]))))
