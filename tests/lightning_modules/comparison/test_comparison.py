"""Test comparisons: metrics over seeds, whether a difference is significant, and the page."""

import json
from pathlib import Path
from typing import Any

import pytest

from lightning_modules.comparison.measurements import measure_speed, spread
from lightning_modules.evaluation.comparison_report import gains, print_table, write_comparison
from tests.support.report_page import HOSTILE, Page

FORMS = ("fp32", "int8")  # the number of compared rows


def row(model: str, form: str, accuracy: float, deviation: float | None) -> dict[str, Any]:
    return {
        "model": model,
        "form": form,
        "seeds": 1 if deviation is None else 3,
        "accuracy": accuracy,
        "accuracy_std": deviation,
        "macro_f1": accuracy - 0.01,
        "macro_f1_std": deviation,
        "parameters": 17_000_000,
        "size_mb": 17.25,
        "latency_ms_p50": 1.5,
        "rows_per_second": 1234.5,
    }


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    of_models = [("teacher", 0.95, None), ("baseline", 0.91, 0.004), ("distilled", 0.93, 0.006)]
    return [row(model, form, accuracy, deviation) for model, accuracy, deviation in of_models for form in FORMS]


def test_the_spread_is_the_sample_deviation_over_the_seeds() -> None:
    metrics = spread([{"accuracy": 0.90, "macro_f1": 0.5}, {"accuracy": 0.92, "macro_f1": 0.5}])
    assert metrics["accuracy"] == pytest.approx(0.91)
    assert metrics["accuracy_std"] == pytest.approx(0.02 / 2**0.5)
    assert metrics["macro_f1_std"] == 0
    assert spread([{"accuracy": 0.9, "macro_f1": 0.5}])["accuracy_std"] is None


def test_a_gain_is_compared_with_the_larger_deviation(rows: list[dict[str, Any]]) -> None:
    metrics = gains(rows, "distilled", "baseline")["fp32"]
    assert metrics["accuracy"] == pytest.approx(0.02)
    assert (metrics["deviation"], metrics["above_deviation"]) == (0.006, True)
    assert gains(rows, "baseline", "distilled")["int8"]["above_deviation"] is False
    assert gains(rows, "distilled", "teacher")["fp32"]["above_deviation"] is None


def test_the_page_shows_every_model_with_its_deviation(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    details = {"test_rows": 500, "teacher": HOSTILE}
    write_comparison(tmp_path, "student", rows, gains=gains(rows, "distilled", "baseline"), details=details)
    page = Page((tmp_path / "comparison.html").read_text())
    assert "93.00 ± 0.60" in page.text
    assert "+2.00 points of accuracy; more than one standard deviation" in page.text
    assert "500 test rows" in page.text
    assert not page.handlers
    assert json.loads((tmp_path / "comparison.json").read_text())["models"] == rows
    write_comparison(tmp_path, "any models", rows[:2], gains={}, details=details)
    assert "Distilled" not in Page((tmp_path / "comparison.html").read_text()).text


def test_a_table_in_a_file_is_plain_aligned_and_never_wrapped(
    rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    rows[0]["model"] = "[bold]teacher[/bold]" * 10
    print_table(rows)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(rows)
    assert len({len(line) for line in lines}) == 1
    assert lines[1].startswith(rows[0]["model"])
    assert "17,000,000" in lines[1]
    assert all(line.isascii() for line in lines if "±" not in line)


def test_every_model_and_form_is_timed(tiny_export: Path) -> None:
    measured = measure_speed({"one": tiny_export, "two": tiny_export}, ["translate this", "hello", "a list"])
    assert set(measured) == {(model, form) for model in ("one", "two") for form in FORMS}
    assert all(row["latency_ms_p50"] > 0 and row["rows_per_second"] > 0 for row in measured.values())
