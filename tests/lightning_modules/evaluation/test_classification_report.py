import json
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from lightning_modules.evaluation.classification_metrics import Predictions, classification_metrics
from lightning_modules.evaluation.classification_report import write_classification_report
from lightning_modules.settings import Gate
from tests.support.report_page import HOSTILE, page_of

HISTORY = [
    {"epoch": 0, "step": 5, "train_loss": 2.0},
    {"epoch": 0, "step": 10, "train_loss": 1.5, "val_loss": 1.4, "val_macro_f1": 0.6},
]
COMPARISON = [
    {"format": "torch", "accuracy": 0.91, "size_mb": 86.712, "rows_per_second": 1234.5},
    {"format": "int8", "accuracy": 0.9, "size_mb": 22.9, "rows_per_second": 4321.0},
]


def make(labels, rows=60, right=0.8, text="row {}", seed=0):
    random, classes = np.random.default_rng(seed), len(labels)
    targets = random.integers(0, classes, rows)
    probabilities = random.dirichlet(np.ones(classes), rows) * (1 - right)
    probabilities[np.arange(rows), targets] += right
    wrong = rows // 4
    probabilities[:wrong] = np.roll(probabilities[:wrong], 1, axis=1)
    return Predictions([text.format(i) for i in range(rows)], labels, targets, probabilities.astype(np.float32))


def size_of(picture):
    with Image.open(picture) as image:
        return image.size


def test_writes_metrics_pictures_errors_and_a_page(tmp_path):
    intent, complexity = make(["chat", "code", "plan"]), make(["low", "high"], rows=40)
    extras = {
        "baseline": {"accuracy": 0.7, "macro_f1": 0.69},
        "gate": Gate(accuracy=0.99).verdict(classification_metrics(intent)),
        "comparison": COMPARISON,
        "history": HISTORY,
        "training": {"device": "cpu", "config": {"learning_rate": 5e-5}},
        "data": {"train": {"rows": 4000}},
    }
    metrics = write_classification_report(tmp_path, "intent", intent, complexity, extras=extras)
    assert metrics == json.loads((tmp_path / "metrics.json").read_text())
    assert metrics == classification_metrics(intent) | {"complexity": classification_metrics(complexity)} | extras
    errors = json.loads((tmp_path / "errors.json").read_text())
    assert len(errors) == 15
    assert [row["score"] for row in errors] == sorted((row["score"] for row in errors), reverse=True)
    text = page_of(tmp_path).text
    for part in (
        "Gate failed. accuracy 0.7500 is 0.2400 below the required 0.9900.",
        "Accuracy 0.7500",
        "Complexity accuracy 0.7500",
        "Baseline accuracy 0.7000",
        "torch 0.9100 86.71 1,234.5",
        "int8 0.9000 22.90 4,321.0",
        "15 of 15 errors",
        "train.rows 4,000",
        "config.learning_rate 5e-05",
    ):
        assert part in text
    assert {path.stem for path in tmp_path.glob("*.png")} == {
        "confusion_matrix",
        "complexity_confusion_matrix",
        "calibration",
        "history",
    }


def test_classes_stand_worst_first(tmp_path):
    labels = ["alpha", "beta", "gamma", "delta"]
    metrics = write_classification_report(tmp_path, "intent", make(labels), None, extras={})
    text = page_of(tmp_path).text.split("Classes, worst F1 first")[1].split("Confusion")[0]
    f1 = {label: metrics["per_class"][label]["f1"] for label in labels}
    assert sorted(labels, key=text.index) == sorted(labels, key=lambda label: f1[label])


def test_the_page_loads_nothing_but_its_own_pictures(tmp_path):
    write_classification_report(
        tmp_path, "intent", make(["a", "b"], text=HOSTILE + "{}"), None, extras={"history": HISTORY}
    )
    page = page_of(tmp_path)
    assert page.sources
    for source in page.sources:
        kind, _, data = source.partition(",")
        assert kind == "data:image/png;base64"
        assert b64decode(data, validate=True).startswith(b"\x89PNG")
    assert not {"script", "link", "iframe", "object", "a"} & set(page.tags)
    assert "url(" not in page.text
    assert "@import" not in page.text


def test_markup_in_texts_labels_and_names_is_shown_as_text(tmp_path):
    intent = make([f"{HOSTILE}1", f"{HOSTILE}2"], text=HOSTILE + "{}")
    extras = {"training": {HOSTILE: HOSTILE}, "data": {HOSTILE: 1}, "comparison": [{HOSTILE: HOSTILE}]}
    write_classification_report(tmp_path, HOSTILE, intent, None, extras=extras)
    page = page_of(tmp_path)
    assert "script" not in page.tags
    assert not page.handlers
    assert page.tags.count("img") == 2
    assert HOSTILE in page.text


@pytest.mark.filterwarnings("error")
def test_labels_in_any_script_are_drawn_without_warnings(tmp_path):
    write_classification_report(tmp_path, "意图", make(["好的", "שלום", "مرحبا", "ok 🙂"]), None, extras={})
    assert "好的" in page_of(tmp_path).text


@pytest.mark.parametrize("text", ["\ud800 lone surrogate {}", "nul \x00 {}", "שלום עולם {}", "好的 🙂 {}", ""])
def test_any_text_can_be_reported(tmp_path, text):
    intent = make(["a", "b"], text=text)
    write_classification_report(tmp_path, "intent", intent, None, extras={})
    errors = json.loads((tmp_path / "errors.json").read_text(encoding="utf-8"))
    assert errors
    assert all(row["text"] == intent.texts[row["row"]] for row in errors)


def test_a_long_text_does_not_swell_the_page(tmp_path):
    write_classification_report(tmp_path, "intent", make(["a", "b"], text="word " * 200_000 + "{}"), None, extras={})
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


@pytest.mark.parametrize("labels", [["only"], ["a$^{b", "_c$"], [f"class {i}" for i in range(10)]])
def test_the_picture_has_a_size_a_person_can_read(tmp_path, labels):
    write_classification_report(tmp_path, "intent", make(labels, rows=80), None, extras={})
    width, height = size_of(tmp_path / "confusion_matrix.png")
    assert 250 < width < 1400
    assert 250 < height < 1400


@pytest.mark.parametrize("right", [0.8, 0.99])
def test_150_classes_fold_the_table_and_keep_the_picture_bounded(tmp_path, right):
    labels = [f"topic_{i}" for i in range(150)]
    write_classification_report(tmp_path, "topics", make(labels, rows=600, right=right), None, extras={})
    assert "125 more classes" in page_of(tmp_path).text
    width, height = size_of(tmp_path / "confusion_matrix.png")
    assert max(width, height) < 2500


def test_all_right_and_150_classes_leave_no_detail_to_show(tmp_path):
    targets = np.arange(150)
    perfect = Predictions(["x"] * 150, [f"topic_{i}" for i in targets], targets, np.eye(150, dtype=np.float32))
    write_classification_report(tmp_path, "topics", perfect, None, extras={})
    text = page_of(tmp_path).text
    assert "Every test row was answered right." in text
    assert "Most confused pairs" not in text


def test_a_class_without_rows_is_shown_without_metrics(tmp_path):
    p = Predictions(["x"], ["here", "absent"], np.array([0]), np.array([[1, 0]], dtype=np.float32))
    write_classification_report(tmp_path, "intent", p, None, extras={})
    assert "here 1.0000 1.0000 1.0000 1 absent – – – 0" in page_of(tmp_path).text


def test_a_second_report_leaves_no_picture_of_the_first(tmp_path):
    write_classification_report(
        tmp_path, "intent", make(["a", "b"]), make(["low", "high"]), extras={"history": HISTORY}
    )
    write_classification_report(tmp_path, "intent", make(["a", "b"]), None, extras={})
    assert {path.stem for path in tmp_path.glob("*.png")} == {"confusion_matrix", "calibration"}


@pytest.mark.parametrize(
    "history",
    [
        [{"epoch": 0, "step": 1, "train_loss": 1.0}],
        [{"epoch": 0, "val_loss": 1.0, "val_macro_f1": 0.5}, {"epoch": 1, "val_loss": None, "train_loss": 0.2}],
        [{"epoch": 0, "step": 1, "train_loss": 1.0}, {"epoch": 1, "step": None, "val_macro_f1": 0.3}],
    ],
)
def test_a_history_with_gaps_is_drawn(tmp_path, history):
    write_classification_report(tmp_path, "intent", make(["a", "b"]), None, extras={"history": history})
    assert (tmp_path / "history.png").stat().st_size > 5000
