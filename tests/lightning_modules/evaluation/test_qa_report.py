"""Write the report of question answering: metrics, predictions, pictures and a page that loads nothing."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from lightning_modules.evaluation.plots import history_picture
from lightning_modules.evaluation.qa_metrics import Answered, qa_metrics
from lightning_modules.evaluation.qa_report import write_qa_report
from lightning_modules.settings import Gate
from tests.support.report_page import HOSTILE, page_of

CONTEXT = "Ada moved to Paris in 1973. She met Pierre there. In 1980 she left for Rome."
HISTORY = [
    {"epoch": 0, "step": 0, "val_loss": 3.5, "val_f1": 0.03, "val_exact_match": 0.0},
    {"epoch": 0, "step": 5, "train_loss": 2.0},
    {"epoch": 0, "step": 10, "train_loss": 1.5, "val_loss": 1.4, "val_f1": 0.6, "val_exact_match": 0.5},
]
COMPARISON = [
    {"form": "torch", "exact_match": 0.5, "f1": 0.6123, "size_mb": 86.712},
    {"form": "int8", "exact_match": 0.4, "f1": 0.6, "size_mb": 22.9},
]


def answers(*texts: str, context: str = CONTEXT, question: str = "Where did {} go?") -> list[Answered]:
    """An answer each, to questions whose right answer is Paris."""
    return [
        Answered(f"q{i}", question.format(i), context, ("Paris",), text, context.index(text), 1 / (i + 1))
        for i, text in enumerate(texts)
    ]


def report(out: Path, answered: list[Answered], **extras: Any) -> dict[str, Any]:
    return write_qa_report(out, "qa", answered, extras=extras)


def test_writes_metrics_predictions_errors_pictures_and_a_page(tmp_path: Path) -> None:
    answered = answers("Paris", "to Paris", "Pierre", "1973", "Paris", "to Paris in", "", "Paris")
    extras = {
        "gate": Gate(f1=0.99).verdict(qa_metrics(answered)),
        "comparison": COMPARISON,
        "history": HISTORY,
        "profile": {"training": {"tokens_per_second": 3012}},
        "calibration": {"temperature": 0.91, "questions": 1000, "expected_calibration_error_before": 0.1411},
        "training": {"device": "cpu"},
        "data": {"train": {"questions": 4000}},
    }
    metrics = report(tmp_path, answered, **extras)
    assert metrics == json.loads((tmp_path / "metrics.json").read_text())
    assert metrics == qa_metrics(answered) | {"errors": metrics["errors"]} | extras
    assert {kind: row["questions"] for kind, row in metrics["errors"].items()} == {
        "wrong_boundary": 2,
        "no_overlap": 1,
        "wrong_sentence": 1,
        "empty": 1,
    }
    assert json.loads((tmp_path / "predictions.json").read_text())["q2"] == "Pierre"
    errors = json.loads((tmp_path / "errors.json").read_text())
    assert [(row["id"], row["kind"]) for row in errors[:3]] == [
        ("q1", "wrong_boundary"),
        ("q5", "wrong_boundary"),
        ("q3", "no_overlap"),
    ]
    assert {path.stem for path in tmp_path.glob("*.png")} == {"breakdown", "calibration", "history"}
    text = page_of(tmp_path).text
    for part in (
        "Gate failed. f1",
        f"F1, % {100 * metrics['f1']:.2f}",
        "Exact match, % 37.50",
        "Validation F1 before fine-tuning, % 3.00 best after it 60.00",
        "torch 50.00 61.23 86.71",
        "wrong boundary The answer overlaps a reference, but begins or ends elsewhere 2 25.00",
        "answered to Paris 0.5000 expected Paris F1 66.67 q1",
        "answered nothing",
        "training.tokens_per_second 3,012",
        "train.questions 4,000",
        f"Calibration error {metrics['expected_calibration_error']:.4f} 0.1411 without the temperature",
        "The scores have the temperature 0.9100, fitted on 1,000 validation questions",
    ):
        assert part in text


def test_everything_right_leaves_no_errors_to_show(tmp_path: Path) -> None:
    assert report(tmp_path, answers("Paris"))["errors"] == {}
    assert "Every question was answered right." in page_of(tmp_path).text
    assert json.loads((tmp_path / "errors.json").read_text()) == []


def test_markup_is_shown_as_text_and_the_page_loads_nothing_but_its_pictures(tmp_path: Path) -> None:
    context = f"{HOSTILE} Paris {HOSTILE}"
    answered = answers(HOSTILE, "Paris", context=context, question=HOSTILE)
    report(tmp_path, answered, history=HISTORY, profile={HOSTILE: HOSTILE}, comparison=[{HOSTILE: HOSTILE}])
    page = page_of(tmp_path)
    assert not {"script", "link", "iframe", "object", "a"} & set(page.tags)
    assert not page.handlers
    assert page.tags.count("img") == 3
    for source in page.sources:
        kind, _, data = source.partition(",")
        assert kind == "data:image/png;base64"
        assert b64decode(data, validate=True).startswith(b"\x89PNG")
    assert page.text.count(HOSTILE) > 4


def test_a_second_report_leaves_no_picture_of_the_first(tmp_path: Path) -> None:
    report(tmp_path, answers("Paris"), history=HISTORY)
    report(tmp_path, answers("Paris"))
    assert {path.stem for path in tmp_path.glob("*.png")} == {"breakdown", "calibration"}


@pytest.mark.filterwarnings("error")
def test_long_contexts_in_any_script_do_not_swell_the_page(tmp_path: Path) -> None:
    context = "好的 🙂 שלום \x00 " * 50_000 + " Paris"
    report(tmp_path, answers("好的", context=context))
    assert (tmp_path / "report.html").stat().st_size < 1_000_000
    assert "好的" in page_of(tmp_path).text


@pytest.mark.parametrize("metric", ["val_f1", "val_exact_match", "val_loss"])
def test_the_history_shows_every_metric_it_has(metric: str) -> None:
    without = [{key: value for key, value in row.items() if key != metric} for row in HISTORY]
    assert history_picture(HISTORY) != history_picture(without)
