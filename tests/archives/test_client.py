"""Test the client against a small real HTTP server that answers from a script."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from urllib3 import HTTPResponse

from archives.build import MODEL_CONFIGS
from archives.client import CONNECTIONS, MAX_BYTES, Client, retry_policy
from archives.client_errors import BadRequest, Unauthorized, Unavailable
from archives.serving import ports

Answer = tuple[int, dict[str, Any]]


class Scripted(ThreadingHTTPServer):
    """Answer each POST with the result of `script` for its JSON body, and record the bodies."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: Callable[[dict[str, Any]], Answer] = lambda body: (200, {"label": body["text"], "score": 1.0})
        self.bodies: list[dict[str, Any]] = []
        self.authorization: str | None = None


class Handler(BaseHTTPRequestHandler):
    """Record the header of the last request as `authorization`."""

    server: Scripted
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.authorization = self.headers["Authorization"]
        status, answer = self.server.script(body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def test_the_key_is_not_replaced_by_a_password_of_the_user(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login alice password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Client(f"http://127.0.0.1:{server.server_port}", "KEY", model="m") as client:
        client.classify("hello")
    assert server.authorization == "Bearer KEY"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(server: Scripted) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{server.server_port}", "key", model="echo") as client:
        yield client


def test_it_retries_after_an_overload(server: Scripted, client: Client) -> None:
    answers = iter([503, 503, 200])
    server.script = lambda body: (next(answers), {"label": body["text"]})
    assert client.classify("hello") == "hello"
    assert len(server.bodies) == 3


def test_a_lasting_overload_is_unavailable(server: Scripted) -> None:
    server.script = lambda body: (503, {"code": 503, "message": "queue is full"})
    with (
        Client(f"http://127.0.0.1:{server.server_port}", "key", model="echo", retries=1) as client,
        pytest.raises(Unavailable, match="queue is full"),
    ):
        client.predict("hello")
    assert len(server.bodies) == 2


def test_wrong_requests_are_not_sent_again(server: Scripted, client: Client) -> None:
    server.script = lambda body: (400, {"error": {"code": "empty_text", "message": "no text", "field": "text"}})
    with pytest.raises(BadRequest, match="no text") as caught:
        client.predict("")
    assert (caught.value.code, caught.value.field, caught.value.status) == ("empty_text", "text", 400)
    assert len(server.bodies) == 1


def test_batches_are_cut_by_their_size_in_bytes(server: Scripted, client: Client) -> None:
    server.script = lambda body: (200, {"predictions": [{"label": row["text"][0]} for row in body["instances"]]})
    texts = [letter * (MAX_BYTES // 3) for letter in "abcde"]
    assert [answer["label"] for answer in client.predict_batch(texts)] == list("abcde")
    assert sorted(len(body["instances"]) for body in server.bodies) == [1, 2, 2]


def test_questions_in_flight_fit_into_one_batch_of_a_worker(server: Scripted, client: Client) -> None:
    server.script = lambda body: (200, {"predictions": [{"answer": row["question"]} for row in body["instances"]]})
    asked = [{"question": f"{i}", "context": "c"} for i in range(100)]
    assert [answer["answer"] for answer in client.predict_batch(asked)] == [f"{i}" for i in range(100)]
    max_rows = yaml.safe_load((MODEL_CONFIGS / "question-answering.yaml").read_text())["handler"]["max_batch_rows"]
    assert 0.5 < max(len(body["instances"]) for body in server.bodies) * CONNECTIONS / max_rows <= 1


def test_a_batch_waits_longer_for_its_answers_than_one_request(server: Scripted) -> None:
    def slow(body: dict[str, Any]) -> Answer:
        time.sleep(0.4)
        return 200, {"predictions": [{"label": "slow"}]}

    server.script = slow
    with Client(f"http://127.0.0.1:{server.server_port}", "key", model="echo", timeout=0.1) as client:
        assert client.predict_batch(["hello"]) == [{"label": "slow"}]


def test_the_delay_before_a_retry_grows_and_differs_between_clients() -> None:
    def wait(*statuses: int) -> float:
        retry = retry_policy(5)
        for status in statuses:
            retry = retry.increment("POST", "/", response=HTTPResponse(status=status))
        return retry.get_backoff_time()

    assert 0.1 <= wait(503) <= 0.2 <= wait(503, 503) <= 0.3
    assert 1.1 <= wait(429) <= 1.2
    assert 2.2 <= wait(429, 429) <= 2.3
    assert wait(429) != wait(429)


def test_parts_of_a_batch_are_sent_concurrently_and_returned_in_order(server: Scripted, client: Client) -> None:
    together = threading.Barrier(4, timeout=20)
    last_is_answered = threading.Event()

    def script(body: dict[str, Any]) -> Answer:
        together.wait()
        label = body["instances"][0]["text"][0]
        if label == "a":
            last_is_answered.wait(20)
        if label == "d":
            last_is_answered.set()
        return 200, {"predictions": [{"label": label}]}

    server.script = script
    answers = client.predict_batch(letter * MAX_BYTES for letter in "abcd")
    assert [answer["label"] for answer in answers] == list("abcd")


def test_an_endless_batch_raises_its_first_error_counted_over_the_whole_batch(server: Scripted, client: Client) -> None:
    def script(body: dict[str, Any]) -> Answer:
        numbers = [int(row["text"].split()[0]) for row in body["instances"]]
        wrong = next((i for i, number in enumerate(numbers) if number in (7, 8, 9, 12)), None)
        if wrong is None:
            return 200, {"predictions": [{"label": "fine"} for _ in numbers]}
        field = f"instances[{wrong}].text"
        return 400, {"error": {"code": "empty_text", "message": f"{field} is empty", "field": field}}

    server.script = script
    drawn = itertools.count()
    with pytest.raises(BadRequest, match=r"instances\[7\]\.text is empty") as caught:
        client.predict_batch(f"{number} " + "x" * (MAX_BYTES // 3) for number in drawn)
    assert caught.value.field == "instances[7].text"
    assert next(drawn) < 7 + 2 * 2 * 4 + 2  # two texts a part, two parts a connection, and one to see that it is full


def test_a_request_that_is_too_large_is_sent_in_parts(server: Scripted, client: Client) -> None:
    def script(body: dict[str, Any]) -> Answer:
        if len(body["instances"]) > 2:
            return 413, {"error": {"code": "too_many_rows", "message": "split it", "field": None}}
        if any(row["question"] == "?" for row in body["instances"]):
            at = [row["question"] for row in body["instances"]].index("?")
            field = f"instances[{at}].question"
            return 400, {"error": {"code": "empty_text", "message": f"{field} is empty", "field": field}}
        return 200, {"predictions": [{"answer": row["question"]} for row in body["instances"]]}

    server.script = script
    questions = [{"question": letter, "context": "c"} for letter in "abcdefg"]
    assert [answer["answer"] for answer in client.predict_batch(questions)] == list("abcdefg")
    with pytest.raises(BadRequest) as caught:
        client.predict_batch([*questions[:5], {"question": "?", "context": "c"}])
    assert caught.value.field == "instances[5].question"


def test_one_instance_that_is_too_large_is_refused(server: Scripted, client: Client) -> None:
    server.script = lambda body: (413, {"error": {"code": "answer_too_large", "message": "too large", "field": None}})
    with pytest.raises(BadRequest, match="too large"):
        client.predict_batch(["a", "b", "c"])


def test_it_answers_a_question(server: Scripted, client: Client) -> None:
    server.script = lambda body: (200, {"answer": body["context"].split()[0], "score": 1.0, "start": 0, "end": 3})
    assert client.answer("Who?", "Ada did.") == "Ada"
    assert server.bodies == [{"question": "Who?", "context": "Ada did."}]


def test_a_server_that_is_gone_is_unavailable() -> None:
    port = ports.free_ports("127.0.0.1", 1)[0]
    with Client(f"http://127.0.0.1:{port}", "key", model="echo", retries=1) as client:
        assert not client.health()
        with pytest.raises(Unavailable, match="does not answer"):
            client.predict("hello")


def test_without_a_local_server_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no server is running"):
        Client(model="echo", servers=tmp_path)
    with pytest.raises(Unauthorized, match="token"):
        Client("http://elsewhere:8080", model="echo", servers=tmp_path)


def test_an_answer_that_takes_too_long_is_not_asked_for_again(server: Scripted) -> None:
    def slow(body: dict[str, Any]) -> Answer:
        time.sleep(0.4)
        return 200, {"label": "slow"}

    server.script = slow
    with (
        Client(f"http://127.0.0.1:{server.server_port}", "key", model="echo", timeout=0.1) as client,
        pytest.raises(Unavailable, match="does not answer"),
    ):
        client.predict("hello")
    assert len(server.bodies) == 1


@pytest.mark.parametrize(("status", "message"), [(500, "the model failed"), (429, "send fewer")])
def test_the_error_message_of_the_handler_is_passed_on(server: Scripted, status: int, message: str) -> None:
    server.script = lambda body: (status, {"error": {"code": "x", "message": message, "field": None}})
    with (
        Client(f"http://127.0.0.1:{server.server_port}", "key", model="echo", retries=0) as client,
        pytest.raises(Unavailable, match=message) as caught,
    ):
        client.predict("hello")
    assert caught.value.status == status
