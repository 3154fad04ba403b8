"""What grows, as tables and as a picture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loadtest.bench.closed_loop import Measurement
from loadtest.bench.figures import of_repeats
from loadtest.bench.growth import main, up_to
from loadtest.bench.growth_report import draw, faults, table
from loadtest.errors import LoadTestError
from tests.support.mini_archive import write_archive


def entry(name: str, number: int, cores: float = 0.1) -> dict[str, Any]:
    repeats = [
        Measurement(rate, p50=1, p95=2, p99=number, requests=9, failures=0, generator_cores=cores) for rate in (90, 80)
    ]
    return {name: number, **of_repeats(repeats), "memory_mib": {"models": 1, "workers": 2, "rss": 500.0, "pss": 300.0}}


@pytest.mark.parametrize(("cores", "workers"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_workers_double_up_to_the_cores(cores: int, workers: list[int]) -> None:
    assert up_to(cores) == workers


def test_a_row_has_its_range_and_the_memory_of_each_worker() -> None:
    out = io.StringIO()
    Console(file=out, width=120).print(table("clients", [entry("clients", 256)]))
    (row,) = [line for line in out.getvalue().splitlines() if " 256 " in line]
    assert "85.0 (80.0 – 90.0)" in row
    assert "2 x 150" in row


@pytest.mark.parametrize("lengths", [[], [8, 16]])
def test_the_picture_has_what_was_measured(tmp_path: Path, lengths: list[int]) -> None:
    environment = {"processor": "p", "cores": 2, "packages": {"numpy": "2"}}
    growth = {name: [entry(name, 1), entry(name, 2)] for name in ("workers", "clients", "tokens", "models")}
    growth["tokens"] = [entry("tokens", length) for length in lengths]
    draw({"model": "tiny", "environment": environment, "growth": growth}, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_what_has_grown_so_far_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def grow(*_: object) -> Iterator[dict[str, Any]]:
        yield {"work": {}, "growth": {"workers": [entry("workers", 1)]}}
        raise LoadTestError("the server failed")

    write_archive(tmp_path, "a")
    monkeypatch.setattr("loadtest.bench.sweeps.grow", grow)
    where = ["--store", str(tmp_path), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["growth", "--model", "a", *where])
    assert main() == 2
    assert list(json.loads((tmp_path / "out" / "growth.json").read_text())["growth"]) == ["workers"]


def test_figures_that_may_be_the_generators_own_are_told() -> None:
    (told,) = faults({"clients": [entry("clients", 64), entry("clients", 512, cores=0.95)]})
    assert told == "512 clients: a process of the load generator was busy for 95% of the time"
