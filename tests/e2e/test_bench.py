"""Measurements of real servers, each started for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.served import MODEL, QA

SHORT = ("--seconds", "0.3", "--warm-up", "0.3", "--repeats", "1")


def run(module: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"loadtest.bench{module}", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def test_the_setups_are_measured_side_by_side(store: Path, tiny_qa_runs: Path, tmp_path: Path) -> None:
    options = ["--lengths", "short", "mixed", "--clients", "4", "--profiles", "latency", *SHORT]
    result = run("", "--models", QA, "--store", store, "--runs", tiny_qa_runs, "--out", tmp_path, *options)
    assert result.returncode == 0, result.stdout + result.stderr
    model = json.loads((tmp_path / "bench.json").read_text())["models"][QA]
    assert list(model["texts"]) == ["short", "mixed"]
    for figures in model["texts"].values():
        assert figures["bound"]["requests_per_second"]["median"] > 0
        assert len(figures["setups"]) == 5
        for by_clients in figures["setups"].values():
            assert [(clients, entry["failures"]) for clients, entry in by_clients.items()] == [("4", 0)]
    assert all(memory["rss"] > 0 for memory in model["worker_memory_mib"].values())
    assert (tmp_path / "bench.png").is_file()
    assert "this bundle" in result.stdout
    assert "left out" not in result.stdout
    tables = run(".markdown", tmp_path / "bench.json").stdout
    assert tables == (tmp_path / "bench.md").read_text()
    assert tables.count("| this bundle | 4 |") == 2


def test_growth_is_measured_in_all_four_directions(store: Path, tmp_path: Path) -> None:
    ranges = ["--workers", "1", "2", "--clients", "1", "8", "--tokens", "16", "8", "512", "--copies", "2"]
    result = run(".growth", "--model", MODEL, "--store", store, "--out", tmp_path, *ranges, *SHORT)
    assert result.returncode == 0, result.stdout + result.stderr
    growth = json.loads((tmp_path / "growth.json").read_text())["growth"]
    assert {name: [entry[name] for entry in entries] for name, entries in growth.items()} == {
        "workers": [1, 2],
        "clients": [1, 8],
        "tokens": [8, 16],  # the model reads 24
        "models": [2],
    }
    assert all(entry["requests"] > 0 == entry["failures"] for entries in growth.values() for entry in entries)
    short, long = (entry["work"]["tokens"] / entry["work"]["rows"] for entry in growth["tokens"])
    assert 6 <= short <= 8 < long <= 16
    one, two = (entry["memory_mib"] for entry in growth["workers"])
    assert (one["models"], one["workers"], two["workers"]) == (1, 1, 2)
    assert one["rss"] < two["rss"]
    of_copies = growth["models"][0]["memory_mib"]
    assert of_copies["workers"] == 2 * growth["clients"][0]["memory_mib"]["workers"]
    assert (tmp_path / "growth.png").is_file()


def test_a_model_without_an_archive_is_told(tmp_path: Path) -> None:
    result = run(".growth", "--model", "missing", "--store", tmp_path, *SHORT)
    assert result.returncode == 2
    assert "make archive NAME=missing" in result.stderr
