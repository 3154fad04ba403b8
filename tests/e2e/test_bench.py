"""Measurements of real servers, each started for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served import MODEL, QA

SHORT = ("--seconds", "0.3", "--warm-up", "0.3", "--repeats", "1")


def run(*options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadtest.bench", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def test_the_variants_are_measured_side_by_side(store: Path, tiny_qa_runs: Path, tmp_path: Path) -> None:
    options = ["--lengths", "short", "mixed", "--clients", "4", "--profiles", "latency", *SHORT]
    result = run("--models", QA, "--store", store, "--runs", tiny_qa_runs, "--out", tmp_path, *options)
    assert result.returncode == 0, result.stdout + result.stderr
    model = json.loads((tmp_path / "bench.json").read_text())["models"][QA]
    assert list(model["texts"]) == ["short", "mixed"]
    for metrics in model["texts"].values():
        assert metrics["upper_bound"]["requests_per_second"]["median"] > 0
        assert len(metrics["variants"]) == 5
        for by_clients in metrics["variants"].values():
            assert [(clients, entry["failures"]) for clients, entry in by_clients.items()] == [("4", 0)]
    assert all(memory["rss"] > 0 for memory in model["worker_memory_mib"].values())
    assert (tmp_path / "bench.png").is_file()
    assert "this bundle" in result.stdout
    assert "left out" not in result.stdout
    assert (tmp_path / "bench.md").read_text().count("| this bundle | 4 |") == 2


SWEEPS = {
    "workers": (MODEL, ["1", "2"], [1, 2]),
    "clients": (MODEL, ["1", "8"], [1, 8]),
    "tokens": (MODEL, ["16", "8", "512"], [8, 16]),  # the model reads 24
    "models": (MODEL, ["2"], [2]),
    "contexts": (QA, ["200", "20"], [20, 200]),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_measures_each_value(name: str, store: Path, tmp_path: Path) -> None:
    model, values, expected = SWEEPS[name]
    options = ["--store", store, "--out", tmp_path, "--values", *values, *SHORT]
    result = run("--sweep", name, "--models", model, *options)
    assert result.returncode == 0, result.stdout + result.stderr
    rows = json.loads((tmp_path / f"{model}-{name}.json").read_text())["rows"]
    assert [row["value"] for row in rows] == expected
    assert all(row["requests"] > 0 == row["failures"] for row in rows)
    assert (tmp_path / f"{model}-{name}.png").is_file()
    first, last = rows[0], rows[-1]
    if name == "workers":
        assert [row["memory_mib"]["workers"] for row in rows] == [1, 2]
        assert first["memory_mib"]["rss"] < last["memory_mib"]["rss"]
    if name == "tokens":
        short, long = (row["work"]["tokens"] / row["work"]["rows"] for row in rows)
        assert 6 <= short <= 8 < long <= 16
    if name == "models":
        assert first["memory_mib"]["workers"] >= 2
    if name == "contexts":
        assert first["work"]["rows"] == first["work"]["requests"]
        assert last["work"]["rows"] > 4 * last["work"]["requests"]
        assert last["work"]["tokens"] > first["work"]["tokens"]


def test_a_model_without_an_archive_is_named(tmp_path: Path) -> None:
    result = run("--sweep", "workers", "--models", "missing", "--store", tmp_path, *SHORT)
    assert result.returncode == 2
    assert "make archive NAME=missing" in result.stderr
