"""Load tests and measurements of the real server."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archives.serving import ports
from tests.e2e.conftest import MODEL, QA, Served
from tests.tiny_qa_export import CONTEXT

pytestmark = pytest.mark.e2e


@pytest.fixture
def command(served: Served, servers: Path, store: Path, tmp_path: Path) -> list[str]:
    """A load test of the shared server for two seconds."""
    where = ["--port", str(served.server.port), "--servers", str(servers), "--store", str(store)]
    options = ["--model", MODEL, "--users", "4", "--duration", "2", "--out", str(tmp_path / "out")]
    return [sys.executable, "-m", "loadtest", *where, *options]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def summary(tmp_path: Path) -> dict[str, Any]:
    return dict(json.loads((tmp_path / "out" / "summary.json").read_text()))


def test_golden_requests_pass_and_leave_reports(command: list[str], tmp_path: Path) -> None:
    result = run(command)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "passed: all limits hold" in result.stdout
    told = summary(tmp_path)
    assert told["passed"]
    assert told["requests"] > 0 == told["failures"]
    assert 0 < told["p50"] <= told["p95"] <= told["p99"]
    with (tmp_path / "out" / "locust_stats.csv").open() as file:
        (total,) = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    assert int(total["Request Count"]) == told["requests"]
    assert f"/predictions/{MODEL}" in (tmp_path / "out" / "report.html").read_text()


@pytest.fixture
def qa_command(command: list[str]) -> list[str]:
    """The same for the model that answers questions."""
    return [*command, "--model", QA]


def test_golden_questions_pass(qa_command: list[str], tmp_path: Path) -> None:
    result = run(qa_command)
    assert result.returncode == 0, result.stdout + result.stderr
    assert summary(tmp_path)["requests"] > 0 == summary(tmp_path)["failures"]


def test_questions_of_squad_are_asked_and_their_places_checked(qa_command: list[str], tmp_path: Path) -> None:
    contexts = [CONTEXT, "Zoë 🎈 met Łukasz\r\nin the café. " * 20]
    paragraphs = [{"context": context, "qas": [{"id": "1", "question": "Who met Zoë?"}]} for context in contexts]
    path = tmp_path / "squad.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"data": [{"paragraphs": paragraphs}]}).encode()))
    result = run([*qa_command, "--texts", str(path)])
    assert result.returncode == 0, result.stdout + result.stderr
    assert summary(tmp_path)["requests"] > 0 == summary(tmp_path)["failures"]


def test_a_missed_limit_ends_with_1(command: list[str], tmp_path: Path) -> None:
    result = run([*command, "--min-rps", "1000000000"])
    assert result.returncode == 1
    assert "failed: requests/s: " in result.stdout
    assert not summary(tmp_path)["passed"]


def test_a_wrong_answer_is_a_failure(command: list[str], served: Served, tmp_path: Path) -> None:
    request = {"text": "translate this"}
    right = served.post(json=request).json()
    wrong = {"label": "not " + right["label"], "score": 0.999999}
    pairs = [{"request": request, "response": right | wrong | {"top_k": [wrong]}}]
    (tmp_path / "texts.json").write_text(json.dumps(pairs))
    result = run([*command, "--texts", str(tmp_path / "texts.json"), "--max-failures", "0.1"])
    assert result.returncode == 1, result.stdout
    assert "failed: failures: " in result.stdout
    assert wrong["label"] in next(iter(summary(tmp_path)["errors"]))


def test_texts_of_a_file_come_at_the_asked_rate(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("hello there\nwrite a function\n")
    result = run([*command, "--texts", str(tmp_path / "texts.txt"), "--rate", "10"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert 0 < summary(tmp_path)["requests"] <= 24  # 10/s for two seconds, and each user's first


def test_a_refused_key_is_a_failure(command: list[str], served: Served, tmp_path: Path) -> None:
    result = run([*command, "--url", served.server.url, "--token", "wrong"])
    assert result.returncode == 1
    assert set(summary(tmp_path)["errors"]) == {"status 400 InvalidKeyException"}


def test_two_processes_share_the_users(command: list[str], tmp_path: Path) -> None:
    result = run([*command, "--processes", "2"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert summary(tmp_path)["requests"] > 0


def test_a_master_reports_what_its_worker_did(command: list[str], tmp_path: Path) -> None:
    (port,) = ports.free_ports("127.0.0.1", 1)
    together = [*command, "--master-port", str(port)]
    with subprocess.Popen([*together, "--worker", "--out", str(tmp_path / "worker")]) as worker:
        result = run([*together, "--master"])
        assert result.returncode == 0, result.stdout + result.stderr
        assert worker.wait(60) == 0
    assert summary(tmp_path)["requests"] > 0
    assert not (tmp_path / "worker" / "summary.json").exists()


def test_the_setups_are_measured_side_by_side(store: Path, tiny_qa_runs: Path, tmp_path: Path) -> None:
    options = ["--clients", "4", "--seconds", "0.5", "--repeats", "1", "--out", str(tmp_path / "bench")]
    where = ["--store", str(store), "--runs", str(tiny_qa_runs)]
    result = run([sys.executable, "-m", "loadtest.bench", "--models", QA, *where, *options])
    assert result.returncode == 0, result.stdout + result.stderr
    written = json.loads((tmp_path / "bench" / "bench.json").read_text())
    model = written["models"][QA]
    assert model["bound"]["requests_per_second"]["median"] > 0
    assert len(model["setups"]) == 4
    for by_clients in model["setups"].values():
        assert [(clients, entry["failures"]) for clients, entry in by_clients.items()] == [("4", 0)]
    assert all(memory["rss"] > 0 for memory in model["worker_memory_mib"].values())
    assert (tmp_path / "bench" / "bench.png").is_file()
    assert "this bundle" in result.stdout
    assert "left out" not in result.stdout


def test_longer_contexts_are_measured_by_their_windows(store: Path, tmp_path: Path) -> None:
    options = ["--words", "200", "20", "--seconds", "0.5", "--out", str(tmp_path)]
    result = run([sys.executable, "-m", "loadtest.bench.contexts", "--model", QA, "--store", str(store), *options])
    assert result.returncode == 0, result.stdout + result.stderr
    short, long = json.loads((tmp_path / "contexts.json").read_text())["contexts"]
    assert (short["words"], short["rows"], long["words"]) == (20, 1, 200)
    assert long["rows"] > 4
    assert long["tokens"] > short["tokens"]
    assert all(entry["requests"] > 0 < entry["worker_rss"] for entry in (short, long))
