"""Test the golden requests at the start against a small real HTTP server in place of TorchServe."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from archives.errors import ServerError
from archives.serving import management, readiness, tokens
from archives.serving.record import Server
from archives.store import StoredModel
from tests.support.recorded import new_server

KEY = {"key": "k", "expiration time": "2999-01-01T00:00:00Z"}
WORKERS = [{"status": "READY"}]


class Echo(BaseHTTPRequestHandler):
    """Report one ready worker for any model but `nobody`, and answer a text with itself as the label."""

    def do_GET(self) -> None:
        if "nobody" in self.path:
            self.send_error(404)
        else:
            self._answer([{"minWorkers": 1, "workers": WORKERS}])

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        self._answer({"label": text, "score": 0.9})

    def _answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def echo(folder: Path) -> Iterator[Server]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (folder / "key_file.json").write_text(json.dumps({"inference": KEY, "management": KEY, "API": KEY}))
        yield new_server(folder, port=port)
        server.shutdown()


def start(folder: Path, *labels: str) -> list[str]:
    """Return the report on a model whose golden answers to the text `a` are these labels."""
    golden = tuple({"request": {"text": "a"}, "response": {"label": label, "score": 0.89}} for label in labels)
    printed: list[str] = []
    with echo(folder) as server:
        model = StoredModel("echo", "1.0", folder / "echo.mar", golden, None)
        readiness.wait_until_ready(server, [model], lambda: True, 10, printed.append)
    return printed


def test_every_golden_request_is_sent_and_each_worker_gets_two(tmp_path: Path) -> None:
    assert start(tmp_path, *"aaaaa")[-1] == "echo 1.0: 5 of 5 golden requests answered as expected"
    assert start(tmp_path, "a")[-1] == "echo 1.0: 2 of 2 golden requests answered as expected"


def test_a_small_number_of_differing_answers_is_reported_and_more_stop_the_start(tmp_path: Path) -> None:
    assert start(tmp_path, *"aaab")[-1] == "echo 1.0: 3 of 4 golden requests answered as expected"
    with pytest.raises(
        ServerError, match="echo answers 2 of 4 golden requests wrongly, the first: label 'a', expected"
    ):
        start(tmp_path, *"aabb")


def test_a_failure_is_reported_with_its_cause_though_the_log_has_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WORKERS[0], "status", "UNLOADED")
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "workers.log"
    lines = ["Backend worker process died.", "Traceback (most recent call last):", '  File "a", line 1', "KeyError: 1"]
    first, *later = [f"2024-01-01T10:00:00,000 INFO  W-9000-echo_1.0-stdout - {line}\n" for line in lines]
    log.write_text(first)
    monkeypatch.setattr(readiness.time, "sleep", lambda seconds: log.write_text(first + "".join(later)))
    with pytest.raises(ServerError, match="a worker failed while loading its model: KeyError: 1"):
        start(tmp_path, "a")


def test_torchserve_is_given_time_to_ask_nvidia_smi_for_each_worker_on_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts: list[float] = []
    with echo(tmp_path) as server, tokens.local_session() as session:
        get = session.get
        monkeypatch.setattr(session, "get", lambda url, **how: (timeouts.append(how["timeout"]), get(url, **how))[1])
        for gpus in (0, 2):
            assert management.describe(session, replace(server, workers=8, gpus=gpus), "echo", "1.0")
    assert timeouts == [5, 45]


def test_a_model_that_torchserve_does_not_know_differs_from_no_answer(tmp_path: Path) -> None:
    with tokens.local_session() as session:
        with echo(tmp_path) as server:
            assert management.describe(session, server, "nobody", "1.0") is None
        with pytest.raises(requests.RequestException):
            management.describe(session, server, "echo", "1.0")
