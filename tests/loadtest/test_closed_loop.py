"""Test the measuring clients against a small real HTTP server."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtest import closed_loop
from loadtest.closed_loop import Client, Measurement, measure
from loadtest.connection import connect
from loadtest.errors import LoadTestError
from loadtest.samples import Sample
from loadtest.target import Target
from loadtest.workload import RequestSet
from tests.support.stub import Behaviour, stub


class Echo(BaseHTTPRequestHandler):
    """Answer a text with itself as the label; close the connection at `gone` and refuse `teapot`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        if text == "gone" or self.headers["Authorization"] != "Bearer key":
            self.close_connection = True
            return
        body = json.dumps({"label": text, "score": 0.9}).encode()
        self.send_response(418 if text == "teapot" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        # Answers arrive in two parts, as they may from a network.
        self.wfile.write(body[:5])
        self.wfile.flush()
        self.wfile.write(body[5:])

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def measured(samples: list[Sample], clients: int = 4) -> Measurement:
    with echo() as url:
        return measure([RequestSet(Target(url, "key"), "m", samples, None)], clients, 0.5)


def test_answers_are_counted_and_checked() -> None:
    right = measured([Sample({"text": text}, {"label": text, "score": 0.9}) for text in ("a", "ä\n")])
    assert right.requests > 0
    assert right.failures == 0
    assert right.requests_per_second == pytest.approx(right.requests / 0.5)
    assert 0 < right.p50 <= right.p95 <= right.p99


@pytest.mark.parametrize(
    "sample", [Sample({"text": "a"}, {"label": "b", "score": 0.9}), Sample({"text": "teapot"}, None)]
)
def test_wrong_answers_and_refusals_are_failures_and_do_not_count_as_throughput(sample: Sample) -> None:
    result = measured([Sample({"text": "b"}, None), sample], clients=1)
    assert abs(result.failures - result.requests / 2) <= 1
    assert result.requests_per_second == pytest.approx((result.requests - result.failures) / 0.5)


@pytest.mark.parametrize(
    ("sample", "reason"),
    [(Sample({"text": "a"}, {"label": "b", "score": 0.9}), "label"), (Sample({"text": "teapot"}, None), "status 418")],
)
def test_a_server_without_a_right_answer_is_an_error_that_says_why(sample: Sample, reason: str) -> None:
    with pytest.raises(LoadTestError, match=f"none of [0-9]+ answers was right: .*{reason}"):
        measured([sample], clients=1)


def test_several_models_get_requests_and_each_has_its_labels() -> None:
    with echo() as url:
        sets = [
            RequestSet(Target(url, "key"), name, [Sample({"text": name}, None)], labels=["a", "b"]) for name in "abc"
        ]
        together = measure(sets, 4, 0.5)
        assert 0 < together.failures < together.requests / 2
        assert measure(sets[:2], 4, 0.5).failures == 0


def test_a_key_never_goes_out_unencrypted_to_an_https_url() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        received: list[bytes] = []

        def take() -> None:
            connection, _ = listening.accept()
            with connection:
                received.append(connection.recv(1000))

        thread = threading.Thread(target=take)
        thread.start()
        requests = RequestSet(
            Target(f"https://127.0.0.1:{listening.getsockname()[1]}", "key"), "m", [Sample({}, None)], None
        )
        with pytest.raises(LoadTestError, match="the server failed"):
            measure([requests], 1, 0.1)
        thread.join()
    assert received[0].startswith(b"\x16\x03"), "a TLS handshake"


def test_a_server_that_hangs_up_is_an_error() -> None:
    with pytest.raises(LoadTestError, match="the server failed under 2 clients"):
        measured([Sample({"text": "gone"}, None)], clients=2)


def test_a_server_that_is_not_there_is_an_error() -> None:
    requests = RequestSet(Target("http://127.0.0.1:9", None), "m", [Sample({"text": "a"}, None)], None)
    with pytest.raises(LoadTestError, match="the server failed"):
        measure([requests], 1, 0.1)


def test_a_server_that_is_slow_to_connect_is_measured_from_when_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly(factory: Callable[[], Client], url: str) -> Client:
        await asyncio.sleep(1)
        return await connect(factory, url)

    monkeypatch.setattr(closed_loop, "connect", slowly)
    monkeypatch.setattr(closed_loop, "WARM_UP_SECONDS", 0.1)
    assert measured([Sample({"text": "a"}, None)], clients=1).requests > 0


def measured_of(behaviour: Behaviour, clients: int) -> Measurement:
    with stub(behaviour) as url:
        return measure([RequestSet(Target(url, None), "m", [Sample({"text": "x"}, None)], None)], clients, 1)


def test_a_server_that_answers_nothing_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_loop, "TIMEOUT_SECONDS", 0.5)
    with pytest.raises(LoadTestError, match="under 2 clients: no answer in time"):
        measured_of(Behaviour(delay=1000), clients=2)


def test_a_slow_server_gives_its_last_answers_for_as_long_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the last answers take four seconds."""
    monkeypatch.setattr(closed_loop, "TIMEOUT_SECONDS", 2)
    assert measured_of(Behaviour(capacity=4), clients=16).failures == 0
