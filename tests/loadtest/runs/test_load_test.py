"""Test the command from its options to its exit code, against a server with known delays."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archives.serving import ports
from tests.support.stub import Behaviour, requests_to, stub


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Start a stub that answers after 300 ms, which is long compared with the generator's delays on a busy machine."""
    with stub(Behaviour(delay=0.3)) as running:
        yield running


def command(url: str, tmp_path: Path, *options: str) -> list[str]:
    (tmp_path / "texts.txt").write_text("hello\nthere\n")
    where = ["--url", url, "--store", str(tmp_path), "--out", str(tmp_path / "out")]
    traffic = [] if "--model" in options else ["--model", "m", "--texts", str(tmp_path / "texts.txt")]
    return [sys.executable, "-m", "loadtest", *where, *traffic, *options]


def loadtest(url: str, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    asked = command(url, tmp_path, *options)
    return subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False)


def summary(tmp_path: Path) -> dict[str, Any]:
    return dict(json.loads((tmp_path / "out" / "summary.json").read_text()))


def lines(tmp_path: Path) -> list[dict[str, str]]:
    with gzip.open(tmp_path / "out" / "requests.csv.gz", "rt") as file:
        return list(csv.DictReader(file))


def test_the_open_loop_leaves_a_page_and_its_metrics(url: str, tmp_path: Path) -> None:
    result = loadtest(url, tmp_path, "--rate", "50", "--duration", "3", "--p99", "5000")
    assert result.returncode == 0, result.stdout + result.stderr
    report = summary(tmp_path)
    assert report["passed"]
    assert report["p50"] >= 300
    assert len(lines(tmp_path)) == report["requests"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "50.0 requests/s arriving by chance" in page
    assert page.count("data:image/png") >= 3
    with (tmp_path / "out" / "timeline.csv").open() as file:
        assert [row["second"] for row in csv.DictReader(file)] == ["0.0", "1.0", "2.0"]


def test_a_missed_limit_ends_with_1(url: str, tmp_path: Path) -> None:
    result = loadtest(url, tmp_path, "--rate", "50", "--duration", "2", "--p99", "1")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "failed: p99: " in result.stdout
    assert not summary(tmp_path)["passed"]


def test_a_generator_that_is_too_slow_ends_with_3_and_says_so(url: str, tmp_path: Path) -> None:
    result = loadtest(url, tmp_path, "--rate", "30000", "--duration", "1")
    assert result.returncode == 3, result.stdout + result.stderr
    assert "not valid: " in result.stdout
    report = summary(tmp_path)
    assert not report["valid"]
    assert not report["passed"]
    assert "Not valid." in (tmp_path / "out" / "report.html").read_text()


def test_users_climb_stairs(url: str, tmp_path: Path) -> None:
    result = loadtest(url, tmp_path, "--users", "20", "--duration", "10", "--shape", "stairs")
    assert result.returncode == 0, result.stdout + result.stderr
    starts = [float(line["intended_s"]) for line in lines(tmp_path)]
    first, last = (sum(begin <= start < begin + 2 for start in starts) for begin in (0, 8))
    assert last > 2 * first > 0


def test_the_rate_has_a_spike(url: str, tmp_path: Path) -> None:
    result = loadtest(url, tmp_path, "--rate", "60", "--duration", "5", "--shape", "spike")
    assert result.returncode == 0, result.stdout + result.stderr
    starts = [float(line["intended_s"]) for line in lines(tmp_path)]
    before, during = sum(1 <= start < 2 for start in starts), sum(2 <= start < 3 for start in starts)
    assert during > 1.7 * before > 0


@pytest.mark.parametrize("load", [["--rate", "100"], ["--users", "40"]])
def test_models_share_the_requests_by_their_parts(url: str, tmp_path: Path, load: list[str]) -> None:
    texts = [f"{name}={tmp_path / 'texts.txt'}" for name in ("a", "b")]
    result = loadtest(url, tmp_path, "--model", "a=3", "b", "--texts", *texts, "--duration", "4", *load)
    assert result.returncode == 0, result.stdout + result.stderr
    counts = {model: entry["requests"] for model, entry in summary(tmp_path)["models"].items()}
    assert counts["b"] / sum(counts.values()) == pytest.approx(0.25, abs=0.09)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "a", "b", "--texts", "t.txt"], "--texts t.txt: write NAME=FILE, with one of the models a, b"),
        (["--texts", "t.txt", "u.txt"], "--texts u.txt: m is sent t.txt: put all of its texts into one file"),
        (["--model", "a", "b", "--texts", "b=t.txt", "b=u.txt"], "--texts b=u.txt: b is sent t.txt"),
        (["--lengths", "mixed"], "--lengths mixed adds to the golden texts"),
    ],
)
def test_texts_that_no_model_would_get_are_reported(url: str, tmp_path: Path, options: list[str], message: str) -> None:
    result = loadtest(url, tmp_path, *options)
    assert result.returncode == 2
    assert message in result.stderr


def test_the_requests_of_locust_are_recorded_exactly(url: str, tmp_path: Path) -> None:
    result = loadtest(url, tmp_path, "--users", "20", "--duration", "3", "--processes", "2")
    assert result.returncode == 0, result.stdout + result.stderr
    report = summary(tmp_path)
    assert report["requests"] == len(lines(tmp_path)) > 50
    assert report["p99"] != round(report["p99"])
    assert report["generator"]["processes"] == 3  # two workers and their master
    with (tmp_path / "out" / "locust_stats.csv").open() as file:
        (total,) = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    assert int(total["Request Count"]) == pytest.approx(report["requests"], rel=0.2)


def test_a_master_has_every_request_of_a_worker_though_their_clocks_differ(tmp_path: Path) -> None:
    """Let each user's second answer come a second after the end of the run."""
    (tmp_path / "sitecustomize.py").write_text("import time\nnow = time.time\ntime.time = lambda: now() + 3600\n")
    ahead = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    (port,) = ports.free_ports("127.0.0.1", 1)
    options = ["--users", "20", "--duration", "4", "--master-port", str(port)]
    with stub(Behaviour(delay=2.5)) as url:
        worker = command(url, tmp_path, *options, "--worker", "--out", str(tmp_path / "worker"))
        with subprocess.Popen(worker, env=ahead) as running:
            result = loadtest(url, tmp_path, *options, "--master")
            assert running.wait(60) == 0
        sent = requests_to(url)
    assert result.returncode == 0, result.stdout + result.stderr
    assert summary(tmp_path)["requests"] == sent >= 40


def test_term_ends_an_open_loop_and_the_processes_that_send(tmp_path: Path) -> None:
    with stub(Behaviour()) as url:
        asked = command(url, tmp_path, "--rate", "20", "--duration", "90")
        with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            while run.poll() is None and not requests_to(url):
                time.sleep(0.1)
            run.terminate()
            try:
                _, errors = run.communicate(timeout=45)  # it ends when every process that can write to it has ended
            finally:
                run.kill()
    assert errors.endswith("interrupted\n")
    assert run.returncode == 130
