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
from tests.support.served import MODEL, QA, Served
from tests.support.tiny_qa_export import CONTEXT

# A closed loop, and an open one.
LOADS = ([], ["--rate", "20"])


@pytest.fixture
def command(served: Served, servers: Path, store: Path, tmp_path: Path) -> list[str]:
    """A load test of the shared server for two seconds."""
    where = ["--port", str(served.server.port), "--servers", str(servers), "--store", str(store)]
    options = ["--model", MODEL, "--users", "4", "--duration", "2", "--out", str(tmp_path / "out")]
    return [sys.executable, "-m", "loadtest", *where, *options]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def read_summary(tmp_path: Path) -> dict[str, Any]:
    return dict(json.loads((tmp_path / "out" / "summary.json").read_text()))


def ended(result: subprocess.CompletedProcess[str], tmp_path: Path, code: int) -> dict[str, Any]:
    """Return the summary of a run with this exit code, or that of a machine too busy to send in time."""
    assert result.returncode in {code, 3}, result.stdout + result.stderr
    summary = read_summary(tmp_path)
    assert (result.returncode == 3) == (not summary["valid"])
    return summary


def test_golden_requests_pass_and_leave_reports(command: list[str], tmp_path: Path) -> None:
    result = run([*command, "--duration", "4"])
    summary = ended(result, tmp_path, 0)
    assert summary["requests"] > 0 == summary["failures"]
    assert summary["failed"] == []
    assert 0 < summary["p50"] <= summary["p95"] <= summary["p99"]
    with (tmp_path / "out" / "timeline.csv").open() as file:
        parts = list(csv.DictReader(file))
    # From the server's own metrics and processes.
    assert any(float(part["batch_size"]) >= 1 for part in parts if part["batch_size"])
    assert any(0 <= float(part["padding"]) < 1 for part in parts if part["padding"])
    assert all(float(part["server_mib"]) > 100 for part in parts if part["server_mib"])
    assert "Batch size and padding over time" in (tmp_path / "out" / "report.html").read_text()


@pytest.fixture
def qa_command(command: list[str]) -> list[str]:
    """Ask the model that answers questions instead."""
    return [*command, "--model", QA]


def test_golden_questions_pass(qa_command: list[str], tmp_path: Path) -> None:
    summary = ended(run(qa_command), tmp_path, 0)
    assert summary["requests"] > 0 == summary["failures"]


def test_questions_of_squad_are_asked_and_their_places_checked(qa_command: list[str], tmp_path: Path) -> None:
    contexts = [CONTEXT, "Zoë 🎈 met Łukasz\r\nin the café. " * 20]
    paragraphs = [{"context": context, "qas": [{"id": "1", "question": "Who met Zoë?"}]} for context in contexts]
    path = tmp_path / "squad.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"data": [{"paragraphs": paragraphs}]}).encode()))
    summary = ended(run([*qa_command, "--texts", str(path)]), tmp_path, 0)
    assert summary["requests"] > 0 == summary["failures"]


def test_a_missed_limit_ends_with_1(command: list[str], tmp_path: Path) -> None:
    summary = ended(run([*command, "--min-rps", "1000000000"]), tmp_path, 1)
    assert summary["failed"][0].startswith("requests/s: ")
    assert not summary["passed"]


@pytest.mark.parametrize("load", LOADS)
def test_a_wrong_answer_is_a_failure(command: list[str], served: Served, tmp_path: Path, load: list[str]) -> None:
    request = {"text": "translate this"}
    right = served.post(json=request).json()
    wrong = {"label": "not " + right["label"], "score": 0.999999}
    pairs = [{"request": request, "response": right | wrong | {"top_k": [wrong]}}]
    (tmp_path / "texts.json").write_text(json.dumps(pairs))
    result = run([*command, "--texts", str(tmp_path / "texts.json"), "--max-failures", "0.1", *load])
    summary = ended(result, tmp_path, 1)
    assert summary["failed"][0].startswith("failures: ")
    assert wrong["label"] in next(iter(summary["errors"]))


def test_texts_of_a_file_come_at_the_asked_rate(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("hello there\nwrite a function\n")
    summary = ended(run([*command, "--texts", str(tmp_path / "texts.txt"), "--rate", "10"]), tmp_path, 0)
    assert 2 <= summary["requests"] <= 40  # four standard deviations around 10/s for two seconds
    assert summary["failures"] == 0


@pytest.mark.parametrize("load", LOADS)
def test_a_refused_key_is_a_failure(command: list[str], served: Served, tmp_path: Path, load: list[str]) -> None:
    summary = ended(run([*command, "--url", served.server.url, "--token", "wrong", *load]), tmp_path, 1)
    assert set(summary["errors"]) == {"status 400 InvalidKeyException"}


def test_two_models_are_asked_in_one_run_with_texts_of_many_lengths(command: list[str], tmp_path: Path) -> None:
    summary = ended(run([*command, "--model", f"{MODEL}=3", QA, "--lengths", "mixed", "--rate", "20"]), tmp_path, 0)
    assert {model: entry["failures"] for model, entry in summary["models"].items()} == {MODEL: 0, QA: 0}
    assert all(entry["requests"] > 0 for entry in summary["models"].values())


def test_a_limit_that_no_rate_keeps_is_searched_down_to_the_lowest(
    served: Served, servers: Path, store: Path, tmp_path: Path
) -> None:
    where = ["--port", str(served.server.port), "--servers", str(servers), "--store", str(store)]
    options = ["--model", MODEL, "--p99", "0.01ms", "--seconds", "1", "--out", str(tmp_path)]
    result = run([sys.executable, "-m", "loadtest.slo", *where, *options])
    assert result.returncode == 1, result.stdout + result.stderr
    assert "failed: no rate keeps p99 within 0.01 ms" in result.stdout
    summary = json.loads((tmp_path / "slo.json").read_text())
    assert summary["best"] is None
    assert summary["points"][-1]["rate"] == 2
    assert {name: entry["failures"] for name, entry in summary["scenarios"].items()} == {
        "single-stream": 0,
        "offline": 0,
    }
    assert (tmp_path / "slo.html").is_file()


def test_two_processes_share_the_users(command: list[str], tmp_path: Path) -> None:
    assert ended(run([*command, "--processes", "2"]), tmp_path, 0)["requests"] > 0


def test_a_master_reports_what_its_worker_did(command: list[str], tmp_path: Path) -> None:
    (port,) = ports.free_ports("127.0.0.1", 1)
    together = [*command, "--master-port", str(port)]
    with subprocess.Popen([*together, "--worker", "--out", str(tmp_path / "worker")]) as worker:
        summary = ended(run([*together, "--master"]), tmp_path, 0)
        assert worker.wait(60) == 0
    assert summary["requests"] > 0
    assert summary["generator"]["processes"] == 2
    with gzip.open(tmp_path / "out" / "requests.csv.gz", "rt") as file:
        assert len(list(csv.DictReader(file))) == summary["requests"]
    assert not (tmp_path / "worker" / "summary.json").exists()
