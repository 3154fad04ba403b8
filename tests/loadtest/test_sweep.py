"""Test that a sweep measures the cases that it announces, and reports a row for each."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from loadtest.bench import __main__ as command
from loadtest.bench import sweep as module
from loadtest.bench.measure import Timing
from loadtest.bench.report import draw_sweep, sweep_problems, sweep_table
from loadtest.bench.results import of_repeats
from loadtest.bench.sweep import cases_of, doubled, sweep
from loadtest.bench.texts import QUESTIONS, contexts_of
from loadtest.closed_loop import Measurement
from loadtest.errors import LoadTestError
from loadtest.samples import Sample
from loadtest.target import Target
from loadtest.workload import RequestSet
from tests.support.mini_archive import write_archive

GOLDEN = [Sample({"question": f"Q{i}?", "context": f"a{i} b{i}\n c{i}."}, {}) for i in range(QUESTIONS + 1)]


def row(value: int, cores: float = 0.1) -> dict[str, Any]:
    repeats = [
        Measurement(rate, p50=1, p95=2, p99=value, requests=9, failures=0, generator_cores=cores) for rate in (90, 80)
    ]
    work = {"requests": 8, "rows": 16, "tokens": 160}
    memory = {"workers": 2, "rss": 500.0, "pss": 300.0}
    return {"value": value, "work": work, **of_repeats(repeats), "p50_per_row": 0.5, "memory_mib": memory}


@pytest.mark.parametrize(("cores", "workers"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_workers_double_up_to_the_cores(cores: int, workers: list[int]) -> None:
    assert doubled(cores) == workers


@pytest.mark.parametrize("words", [2, 4, 100])
def test_contexts_are_golden_ones_joined_to_the_length(words: int) -> None:
    samples = contexts_of(GOLDEN, words)
    assert [sample.request["question"] for sample in samples] == [f"Q{i}?" for i in range(QUESTIONS)]
    assert {len(sample.request["context"].split()) for sample in samples} == {words}
    assert len({sample.request["context"] for sample in samples}) == QUESTIONS
    assert f"{samples[1].request['context']} ".startswith("a1 b1 " + ("c1. a2 " if words > 2 else ""))


def test_a_model_without_contexts_is_refused() -> None:
    with pytest.raises(LoadTestError, match="no contexts"):
        contexts_of([Sample({"text": "a"}, {})], 100)


def test_one_thing_changes_in_rising_order_and_the_others_do_not() -> None:
    cases = {
        name: [(case.value, case.clients, case.workers, case.copies) for case in cases_of(name, [3, 1], Path(), GOLDEN)]
        for name in ("workers", "clients", "models", "contexts")
    }
    assert cases == {
        "workers": [(1, 64, "1", 0), (3, 64, "3", 0)],
        "clients": [(1, 1, "auto", 0), (3, 3, "auto", 0)],
        "models": [(1, 64, "auto", 1), (3, 64, "auto", 3)],
        "contexts": [(1, 1, "1", 0), (3, 1, "1", 0)],
    }


def measured(
    monkeypatch: pytest.MonkeyPatch, name: str, values: list[int]
) -> tuple[list[dict[str, Any]], list[str], list[tuple[int, int, int, float]]]:
    """Return a sweep's rows, the servers started, and each measurement's models, words, clients and seconds."""
    servers, asked = [], []

    @contextmanager
    def serving(store: Path, models: list[str], folder: Path, workers: str) -> Iterator[SimpleNamespace]:
        servers.append(f"{workers} of {'+'.join(models)}")
        yield SimpleNamespace(target=Target("http://host", None), all_workers_memory=lambda: {"workers": 1, "rss": 1.0})

    def measure(sets: Sequence[RequestSet], clients: int, seconds: float) -> Measurement:
        asked.append((len(sets), len(sets[0].samples[0].request["context"].split()), clients, seconds))
        return Measurement(1, 1, 1, 1, 1, 0, 0.1)

    monkeypatch.setattr(module, "read_golden", lambda _: GOLDEN)
    monkeypatch.setattr(module, "unpack", lambda *_: None)
    monkeypatch.setattr(module, "pack_as", lambda *_: None)
    monkeypatch.setattr(module, "rows_of", lambda _, samples: [[1, 2]] * len(samples))
    monkeypatch.setattr(module, "in_its_own_process", measure)
    monkeypatch.setattr(module, "serving", serving)
    rows = list(sweep(name, values, "qa", Path("store"), Timing(8, 15, 1), lambda _: None))
    return rows, servers, asked


def test_contexts_are_measured_on_one_server_that_the_shortest_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, servers, asked = measured(monkeypatch, "contexts", [4, 2])
    assert servers == ["1 of qa"]
    assert asked == [(1, 2, 1, 15), (1, 2, 1, 8), (1, 4, 1, 8)]
    assert [entry["value"] for entry in rows] == [2, 4]
    assert rows[0]["work"] == {"requests": QUESTIONS, "rows": QUESTIONS, "tokens": 2 * QUESTIONS}


def test_each_number_of_models_has_a_separate_server_and_clients_ask_all(monkeypatch: pytest.MonkeyPatch) -> None:
    _, servers, asked = measured(monkeypatch, "models", [1, 2])
    assert servers == ["auto of qa_1", "auto of qa_1+qa_2"]
    assert asked == [(1, 3, 64, 15), (1, 3, 64, 8), (2, 3, 64, 15), (2, 3, 64, 8)]


def test_a_row_has_its_range_and_the_memory_of_each_worker() -> None:
    out = io.StringIO()
    Console(file=out, width=150).print(sweep_table("clients", "tiny", [row(256)]))
    (line,) = [line for line in out.getvalue().splitlines() if " 256 " in line]
    assert "85.0 (80.0 – 90.0)" in line
    assert "2 x 150" in line


@pytest.mark.parametrize("values", [[], [8, 16]])
def test_the_picture_shows_the_measurements(tmp_path: Path, values: list[int]) -> None:
    environment = {"processor": "p", "cores": 2, "packages": {"numpy": "2"}}
    content = {"model": "tiny", "sweep": "tokens", "environment": environment, "rows": [row(value) for value in values]}
    draw_sweep(content, tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_rows_measured_before_a_failure_are_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> Iterator[dict[str, Any]]:
        yield row(1)
        raise LoadTestError("the server failed")

    write_archive(tmp_path, "a")
    monkeypatch.setattr(module, "sweep", failing)
    where = ["--store", str(tmp_path), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["bench", "--sweep", "workers", "--models", "a", *where])
    assert command.main() == 2
    content = json.loads((tmp_path / "out" / "a-workers.json").read_text())
    assert [entry["value"] for entry in content["rows"]] == [1]


def test_metrics_that_the_generator_may_limit_are_reported() -> None:
    (problem,) = sweep_problems("clients", [row(64), row(512, cores=0.95)])
    assert problem == "512 clients: a process of the load generator was busy for 95% of the time"
