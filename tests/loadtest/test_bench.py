"""Test the measured variants, their metrics and their report."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from archives.build import build_archive
from handlers.integrity import check_integrity
from loadtest.bench import __main__ as command
from loadtest.bench.archive import handler_settings, pack_as, pack_with, unpack, whole_batches
from loadtest.bench.measure import Options, rows_of
from loadtest.bench.report import draw, markdown, problems, table
from loadtest.bench.results import Results, Turns, Work
from loadtest.bench.upper_bound import rows_per_second
from loadtest.bench.variants import BUNDLE, LABELS, PLAIN, label
from loadtest.closed_loop import Measurement
from loadtest.errors import LoadTestError
from loadtest.samples import Sample
from tests.support.mini_archive import write_archive
from tests.support.tiny_export import SENTENCES
from tests.support.tiny_qa_export import CONTEXT, QUESTIONS


def at(rate: float) -> Measurement:
    return Measurement(rate, p50=1, p95=2, p99=3, requests=int(rate), failures=1, generator_cores=0.1)


RESULTS = Results(
    archive_bytes=1000,
    texts={
        "long": Turns(
            work=Work(requests=2, rows=5, tokens=600),
            upper_bound=[1000.0, 500.0, 800.0],
            variants={
                BUNDLE: {1: [at(100)] * 3, 64: [at(900), at(400), at(600)]},
                PLAIN: {1: [at(2)] * 3, 4: [at(3), at(2), at(3)]},
            },
        )
    },
    memory={BUNDLE: {"rss": 250.0}},
)


CONTENT = {
    "environment": {"processor": "p", "cores": 2, "packages": {"numpy": "2"}, "time": "2024-01-02T03:04:05+00:00"},
    "asked": {"seconds": 8.0, "repeats": 3},
    "models": {"tiny": RESULTS.metrics()},
}
OF_LONG = RESULTS.metrics()["texts"]["long"]


def test_ratios_compare_variants_within_a_turn_each_at_its_highest_number_of_clients() -> None:
    ratios = OF_LONG["ratios"]
    assert ratios["clients"] == 64
    assert ratios["bundle_to"] == {
        "upper_bound": {"median": 0.8, "min": 0.75, "max": 0.9},
        PLAIN: {"median": 200.0, "min": 200.0, "max": 300.0},
    }


def test_repeats_become_medians_ranges_and_sums() -> None:
    entry = OF_LONG["variants"][BUNDLE]["64"]
    assert entry["requests_per_second"] == {"median": 600, "min": 400, "max": 900}
    assert (entry["requests"], entry["failures"]) == (1900, 3)


def test_the_table_and_the_picture_show_every_variant(tmp_path: Path) -> None:
    out = io.StringIO()
    Console(file=out, width=180).print(table("tiny", "long", OF_LONG))
    lines = out.getvalue().splitlines()
    assert "tiny, long texts: 2 requests of 2.5 rows, 120 tokens a row;" in lines[0]
    assert "(lowest – highest)" in lines[0]
    (bundle,) = [line for line in lines if LABELS[BUNDLE] in line and " 64 " in line]
    assert "600 (400 – 900)" in bundle
    assert "75 %" in bundle
    single, highest = [line for line in lines if LABELS[PLAIN] in line]
    assert ("x " in single, "x 200.0 (200.0 – 300.0)" in highest, "3.0 (2.0 – 3.0)" in highest) == (False, True, True)
    draw(CONTENT["models"], CONTENT["environment"], tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


TABLES = f"""p, 2 cores; numpy 2; 8 s each, 3 repeats, measured 2024-01-02T03:04:05+00:00.

tiny, long texts: 2 requests of 2.5 rows, 120 tokens a row; medians of the repeats (lowest – highest); 12 wrong answers:

| set-up | clients | requests/s | of the bound | bundle to it | p50 ms | p99 ms |
|---|---|---|---|---|---|---|
| bound: the model alone, no server |  | 800 (500 – 1000) | 100 % |  |  |  |
| {LABELS[BUNDLE]} | 1 | 100 (100 – 100) | 12 % |  | 1.0 | 3.0 |
| {LABELS[BUNDLE]} | 64 | 600 (400 – 900) | 75 % |  | 1.0 | 3.0 |
| {LABELS[PLAIN]} | 1 | 2.0 (2.0 – 2.0) | 0 % |  | 1.0 | 3.0 |
| {LABELS[PLAIN]} | 4 | 3.0 (2.0 – 3.0) | 0 % | x 200.0 (200.0 – 300.0) | 1.0 | 3.0 |
"""


def test_a_measurement_becomes_a_table_for_the_readme() -> None:
    assert markdown(CONTENT) == TABLES


def test_a_profile_is_named_in_the_label_of_its_variant() -> None:
    assert label("bundle_latency") == "this bundle, latency profile"


def test_metrics_that_the_generator_may_limit_are_reported() -> None:
    repeats = {64: [at(900), replace(at(900), generator_cores=0.95)], 1: [at(100)] * 2}
    busy = Results(1000, {"long": Turns(Work(2, 5, 600), [1000.0, 1000.0], {BUNDLE: repeats})}).metrics()
    assert problems(OF_LONG) == []
    (problem,) = problems(busy["texts"]["long"])
    assert problem == "this bundle, 64 clients: a process of the load generator was busy for 95% of the time"
    assert f"\nNot valid: {problem}.\n" in markdown(CONTENT | {"models": {"tiny": busy}})


def bench(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[Options]]:
    """Return the command's exit code and its measurements; the server fails with the model `b`."""
    measured = []

    def compare(model: str, options: Options, report: object) -> Results:
        measured.append(options)
        if model == "b":
            raise LoadTestError("the server failed")
        return RESULTS

    monkeypatch.setattr("loadtest.bench.measure.compare", compare)
    where = ["--store", str(tmp_path), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["bench", *options, *where])
    return command.main(), measured


def test_each_model_and_variant_is_measured_once_and_saved_before_the_next_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        write_archive(tmp_path, name)
    options = ["--models", "a", "a", "b", "--clients", "64", "1", "64", "--profiles", "latency", "latency"]
    code, measured = bench(options, tmp_path, monkeypatch)
    assert code == 2
    assert [(asked.clients, asked.profiles) for asked in measured] == [([1, 64], ["latency"])] * 2
    assert list(json.loads((tmp_path / "out" / "bench.json").read_text())["models"]) == ["a"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"bench.json", "bench.md", "bench.png"}


def test_a_missing_archive_is_named_before_any_model_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_archive(tmp_path, "a")
    assert bench(["--models", "a", "nobody"], tmp_path, monkeypatch) == (2, [])
    assert "nobody.mar" in capsys.readouterr().err


def test_a_changed_archive_keeps_its_integrity(tiny_runs: Path, tmp_path: Path) -> None:
    archive = build_archive("tiny", tiny_runs, tmp_path / "store")
    unpack(archive, tmp_path / "before")
    assert whole_batches(tmp_path / "before") == {"max_rows": 64, "token_budget": 64 * 24, "max_padding": 64 * 24}
    pack_with(tmp_path / "before", whole_batches(tmp_path / "before") | {"threads": 2}, tmp_path / "new" / "tiny.mar")
    unpack(tmp_path / "new" / "tiny.mar", tmp_path / "after")
    check_integrity(tmp_path / "after")
    settings = handler_settings(tmp_path / "after")
    assert (settings.max_rows, settings.token_budget, settings.threads) == (64, 1536, 2)


def test_a_copy_under_another_name_keeps_its_integrity(tiny_runs: Path, tmp_path: Path) -> None:
    unpack(build_archive("tiny", tiny_runs, tmp_path / "store"), tmp_path / "folder")
    copy = tmp_path / "copies" / "tiny_2.mar"
    pack_as("tiny_2", tmp_path / "folder", copy)
    unpack(copy, tmp_path / "after")
    check_integrity(tmp_path / "after")
    with zipfile.ZipFile(copy) as mar:
        assert json.loads(mar.read("MAR-INF/MANIFEST.json"))["model"]["modelName"] == "tiny_2"


@pytest.fixture(scope="module")
def models(tiny_runs: Path, tiny_qa_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Unpack the archives of a model of each task."""
    root = tmp_path_factory.mktemp("models")
    for name, runs in (("tiny", tiny_runs), ("tiny_qa", tiny_qa_runs)):
        unpack(build_archive(name, runs, root), root / name)
    return {name: root / name for name in ("tiny", "tiny_qa")}


def test_the_upper_bound_runs_the_rows_of_each_task(models: dict[str, Path]) -> None:
    requests = {"tiny": {"text": SENTENCES[0]}, "tiny_qa": {"question": QUESTIONS[0], "context": CONTEXT}}
    rows = {name: rows_of(models[name], [Sample(request, None)]) for name, request in requests.items()}
    assert {name: len(of_model) for name, of_model in rows.items()} == {"tiny": 1, "tiny_qa": 2}
    for name, of_model in rows.items():
        assert rows_per_second(models[name], of_model, seconds=0.2, cores=1) > 0


def test_requests_that_a_model_refuses_are_reported(models: dict[str, Path]) -> None:
    with pytest.raises(LoadTestError, match="does not answer these requests: context is missing"):
        rows_of(models["tiny_qa"], [Sample({"question": "Who?"}, None)])
