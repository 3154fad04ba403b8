"""The measured set-ups, their figures and their report."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from archives.build import build_archive
from handlers.text.integrity import check_integrity
from loadtest.bench.archive import handler_settings, pack_with, unpack, whole_batches
from loadtest.bench.bound import rows_per_second
from loadtest.bench.closed_loop import Measurement
from loadtest.bench.figures import figures
from loadtest.bench.measure import BUNDLE, ONE_WORKER, Results
from loadtest.bench.report import draw, table


def at(rate: float) -> Measurement:
    return Measurement(rate, p50=1, p95=2, p99=3, requests=int(rate), failures=1, flips=0, generator_cores=0.1)


RESULTS = Results(
    archive_bytes=1000,
    bound=[1000.0, 500.0, 800.0],
    setups={
        BUNDLE: {1: [at(100)] * 3, 64: [at(900), at(400), at(600)]},
        ONE_WORKER: {1: [at(90)] * 3, 64: [at(300), at(200), at(300)]},
    },
    memory={BUNDLE: {"rss": 250.0}},
)


def test_ratios_compare_within_a_turn_at_most_clients() -> None:
    ratios = figures(RESULTS)["ratios"]
    assert ratios["clients"] == 64
    assert ratios["this bundle to"] == {
        "bound": {"median": 0.8, "min": 0.75, "max": 0.9},
        ONE_WORKER: {"median": 2.0, "min": 2.0, "max": 3.0},
    }


def test_repeats_become_medians_ranges_and_sums() -> None:
    entry = figures(RESULTS)["setups"][BUNDLE]["64"]
    assert entry["requests_per_second"] == {"median": 600, "min": 400, "max": 900}
    assert (entry["requests"], entry["failures"]) == (1900, 3)


def test_the_table_and_the_picture_show_every_setup(tmp_path: Path) -> None:
    out = io.StringIO()
    Console(file=out, width=150).print(table("tiny", figures(RESULTS)))
    lines = out.getvalue().splitlines()
    assert "[lowest-highest]" in lines[0]
    (bundle,) = [line for line in lines if BUNDLE in line and " 64 " in line]
    assert "600 [400-900]" in bundle
    assert "75 %" in bundle
    environment = {"processor": "p", "cores": 2, "packages": {"numpy": "2"}}
    draw({"tiny": figures(RESULTS)}, environment, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_a_changed_archive_keeps_its_integrity(tiny_runs: Path, tmp_path: Path) -> None:
    archive = build_archive("tiny", tiny_runs, tmp_path / "store")
    unpack(archive, tmp_path / "before")
    assert whole_batches(tmp_path / "before") == {"max_rows": 64, "token_budget": 64 * 24}
    pack_with(tmp_path / "before", whole_batches(tmp_path / "before") | {"threads": 2}, tmp_path / "new" / "tiny.mar")
    unpack(tmp_path / "new" / "tiny.mar", tmp_path / "after")
    check_integrity(tmp_path / "after")
    settings = handler_settings(tmp_path / "after")
    assert (settings.max_rows, settings.token_budget, settings.threads) == (64, 1536, 2)


def test_the_bound_runs_the_model(tiny_runs: Path, tmp_path: Path) -> None:
    unpack(build_archive("tiny", tiny_runs, tmp_path / "store"), tmp_path / "model")
    assert rows_per_second(tmp_path / "model", [[2, 7, 3], [2, 8, 9, 3]], seconds=0.2, cores=1) > 0
