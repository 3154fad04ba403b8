"""Starting, watching and stopping real servers."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil
import pytest
import requests

from archives.serving import ports, record, tokens
from archives.serving.record import Server
from archives.serving.stop import is_gone
from tests.support.mini_archive import CONFIG, write_archive
from tests.support.served import MODEL, PATIENCE, Served, archives

SLOW = """
import json
import time


class SlowEcho:
    def initialize(self, context):
        self.initialized = True

    def handle(self, rows, context):
        texts = [row["body"]["text"] for row in rows]
        end = time.monotonic() + (1.5 if "slow" in texts else 0)
        while time.monotonic() < end:
            pass
        return [{"label": text, "score": 1.0} for text in texts]
"""


def refused(store: Path, servers: Path, *options: str) -> str:
    """Return the error of a start that fails; it leaves no process behind."""
    before = {process.pid for process in psutil.process_iter(["name"]) if process.name() == "java"}
    result = archives(
        "serve", "--store", store, "--servers", servers, "--port", "0", "--workers", "1", *PATIENCE, *options
    )
    assert result.returncode == 1, result.stdout
    left = [p for p in psutil.process_iter(["name"]) if p.name() == "java" and p.pid not in before]
    assert not [process for process in left if str(servers) in " ".join(process.cmdline())]
    return result.stderr


def test_an_import_that_fails_in_the_handler_is_named(tmp_path: Path) -> None:
    write_archive(tmp_path / "store", "broken", handler="import no_such_package\n")
    error = refused(tmp_path / "store", tmp_path / "servers")
    assert "ModuleNotFoundError: No module named 'no_such_package'" in error
    assert "handler.py" in error
    assert not record.recorded(tmp_path / "servers")


def test_wrong_golden_answers_stop_the_start(tmp_path: Path) -> None:
    write_archive(tmp_path / "store", "liar", label="something else")
    error = refused(tmp_path / "store", tmp_path / "servers")
    assert "liar answers 4 of 4 golden requests wrongly" in error or "liar answers 2 of 2" in error


def test_a_tampered_archive_is_refused_and_the_file_named(store: Path, tmp_path: Path) -> None:
    tampered = tmp_path / "store" / f"{MODEL}.mar"
    tampered.parent.mkdir()
    with zipfile.ZipFile(store / f"{MODEL}.mar") as good, zipfile.ZipFile(tampered, "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            bad.writestr(name, content.replace(b"conversation", b"Conversation") if name == "labels.json" else content)
    assert "labels.json" in refused(tampered.parent, tmp_path / "servers")


def test_term_while_starting_leaves_nothing_behind(store: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "archives",
        "serve",
        "--store",
        str(store),
        "--servers",
        str(tmp_path),
        "--port",
        "0",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (started := record.recorded(tmp_path)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in error
    assert not record.is_running(started[0])
    assert not record.recorded(tmp_path)


def test_a_taken_port_is_named(store: Path, served: Served, tmp_path: Path) -> None:
    port = served.server.metrics_port
    result = archives("serve", "--store", store, "--servers", tmp_path, "--port", str(port))
    assert result.returncode == 1
    assert f"port {port} on 127.0.0.1 is not free" in result.stderr
    assert "PORT=" in result.stderr


def test_a_second_start_says_that_it_runs_already(store: Path, served: Served, servers: Path) -> None:
    result = archives("serve", "--store", store, "--servers", servers, "--port", str(served.server.port))
    assert result.returncode == 1
    assert "already running" in result.stderr
    assert str(served.server.pid) in result.stderr
    assert served.post(json={"text": "hello"}).ok


def test_predict_and_status_speak_of_the_running_server(served: Served, servers: Path) -> None:
    port = str(served.server.port)
    answer = archives(
        "predict", "--servers", servers, "--port", port, "--model", MODEL, "--text", "héllo, how are you?"
    )
    assert json.loads(answer.stdout)["label"]
    wrong = archives("predict", "--servers", servers, "--port", port, "--model", MODEL, "--json", '{"text": 1}')
    assert wrong.returncode == 1
    assert "BadRequest" in wrong.stderr
    assert served.server.url in archives("status", "--servers", servers).stdout


def test_the_metrics_port_shows_histograms_of_the_handlers_steps(served: Served) -> None:
    served.post(json={"text": "hello"})
    deadline = time.monotonic() + 10
    while "_bucket{" not in (text := served.session.get(served.server.metrics_url, timeout=5).text):
        assert time.monotonic() < deadline, text
        time.sleep(0.2)
    assert f'ModelName="{MODEL}"' in text


def test_logs_do_not_grow_with_requests(served: Served) -> None:
    def size() -> int:
        return sum(log.stat().st_size for log in served.server.logs.glob("*.log"))

    served.post(json={"text": "hello"})
    before = size()
    for _ in range(50):
        served.post(json={"text": "hello"})
    time.sleep(0.5)
    assert size() == before


@pytest.fixture(scope="module")
def foreground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], Server, str]]:
    """Start a second server, `serve --foreground` with a slow echo model; give what it printed at its start too."""
    # Too long for the workers' sockets, so temporary files have to go elsewhere.
    folder = tmp_path_factory.mktemp("foreground") / ("long" * 20)
    write_archive(folder / "store", "echo", handler=SLOW, config=f"{CONFIG}minWorkers: 2\nmaxWorkers: 2\n")
    command = [sys.executable, "-m", "archives", "serve", "--foreground", "--store", "store", "--servers", "servers"]
    command += ["--port", "0", "--workers", "1", *PATIENCE]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    printed = ""
    for line in process.stdout:
        printed += line
        if line.startswith("  -d "):
            break
    else:
        pytest.fail(printed)
    yield process, record.find(servers=folder / "servers"), printed
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)


def ask(server: Server, text: str) -> requests.Response:
    headers = {"Authorization": tokens.bearer(server)}
    return requests.post(f"{server.url}/predictions/echo", json={"text": text}, headers=headers, timeout=30)


def test_two_servers_live_side_by_side(served: Served, foreground: tuple[subprocess.Popen[str], Server, str]) -> None:
    _, second, _ = foreground
    assert ask(second, "hello").json() == {"label": "hello", "score": 1.0}
    assert served.post(json={"text": "hello"}).ok
    # Asked for one worker, although the archive's own configuration wants two.
    assert len(psutil.Process(second.pid).children()) == 1
    assert not set(second.all_ports) & set(served.server.all_ports)
    stranger = {"Authorization": tokens.bearer(second)}
    assert not served.post(json={"text": "hello"}, headers=stranger).ok


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_printed_curl_works_and_shows_no_key(foreground: tuple[subprocess.Popen[str], Server, str]) -> None:
    _, server, printed = foreground
    assert tokens.bearer(server) not in printed
    command = f"{printed[printed.index('curl ') :].strip()} -s"
    answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(answer.stdout) == {"label": "hello", "score": 1.0}


def test_token_prints_the_header_and_renews_an_expired_key(
    foreground: tuple[subprocess.Popen[str], Server, str],
) -> None:
    _, server, _ = foreground
    first = archives("token", "--servers", server.folder.parent).stdout
    assert first == f"Authorization: {tokens.bearer(server)}\n"
    management = archives("token", "--servers", server.folder.parent, "--kind", "management").stdout
    assert management.startswith("Authorization: Bearer ")
    assert management != first

    keys = json.loads(server.key_file.read_text())
    past = datetime.now(timezone.utc) - timedelta(minutes=1)
    keys["inference"]["expiration time"] = past.isoformat().replace("+00:00", "Z")
    server.key_file.write_text(json.dumps(keys))
    assert archives("token", "--servers", server.folder.parent).stdout != first
    assert ask(server, "hello").ok


def test_term_lets_the_request_in_flight_finish(foreground: tuple[subprocess.Popen[str], Server, str]) -> None:
    """Comes last in this module: it ends the foreground server."""
    process, server, _ = foreground
    workers = psutil.Process(server.pid).children(recursive=True)
    answers: list[requests.Response] = []
    asking = threading.Thread(target=lambda: answers.append(ask(server, "slow")))
    asking.start()
    time.sleep(0.4)
    assert process.stdout
    process.stdout.close()  # as Ctrl-C ends the `tee` of `serve | tee` too
    process.send_signal(signal.SIGTERM)
    asking.join(timeout=30)
    assert answers
    assert answers[0].json() == {"label": "slow", "score": 1.0}
    assert process.wait(timeout=60) == 0
    assert not record.is_running(server)
    assert all(is_gone(worker) for worker in workers)
    assert all(ports.is_free(server.host, port) for port in server.all_ports)
    assert not server.key_file.exists()
    assert not server.temporary.exists()
