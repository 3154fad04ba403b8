import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_score, recall_score
from torchmetrics.functional.classification import multiclass_calibration_error, multiclass_f1_score

from lightning_modules.errors import UserError
from lightning_modules.evaluation.calibration import calibration_bins
from lightning_modules.evaluation.classification_metrics import (
    Predictions,
    baseline_metrics,
    classification_metrics,
    confident_errors,
    confused_pairs,
    confusion_counts,
    examples,
    most_confused,
)


def predictions(targets, probabilities, labels=None):
    probabilities = np.asarray(probabilities, dtype=np.float32)
    labels = labels or [f"class_{i}" for i in range(probabilities.shape[1])]
    texts = [f"text {i}" for i in range(len(targets))]
    return Predictions(texts, labels, np.asarray(targets, dtype=np.int64), probabilities)


def answers(targets, predicted, classes, score=1.0):
    """Gives `score` to the predicted class and shares the rest."""
    probabilities = np.full((len(targets), classes), (1 - score) / max(classes - 1, 1))
    probabilities[np.arange(len(targets)), predicted] = score
    return predictions(targets, probabilities)


@st.composite
def random_predictions(draw):
    classes, rows = draw(st.integers(2, 8)), draw(st.integers(1, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    used = draw(st.integers(1, classes))  # the classes from here on are absent from the targets
    return predictions(random.integers(0, used, rows), random.dirichlet(np.ones(classes), rows))


@settings(max_examples=80, deadline=None)
@given(random_predictions())
def test_equals_scikit_learn_and_torchmetrics(p):
    metrics, predicted = classification_metrics(p), p.predicted
    for kind, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        macro = score(p.targets, predicted, average="macro", zero_division=0)
        assert metrics[f"macro_{kind}"] == pytest.approx(macro)
        each = score(p.targets, predicted, labels=range(len(p.labels)), average=None, zero_division=0)
        assert [row[kind] or 0.0 for row in metrics["per_class"].values()] == pytest.approx(list(each))
    assert metrics["accuracy"] == pytest.approx(accuracy_score(p.targets, predicted))
    assert metrics["weighted_f1"] == pytest.approx(f1_score(p.targets, predicted, average="weighted", zero_division=0))
    classes, targets, probabilities = len(p.labels), torch.tensor(p.targets), torch.tensor(p.probabilities)
    macro_f1 = multiclass_f1_score(probabilities, targets, classes, average="macro")
    assert metrics["macro_f1"] == pytest.approx(float(macro_f1), abs=1e-5)
    error = multiclass_calibration_error(probabilities, targets, classes, n_bins=15, norm="l1")
    assert metrics["expected_calibration_error"] == pytest.approx(float(error), abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(random_predictions())
def test_counts_and_bins_hold_every_row_once(p):
    metrics, rows = classification_metrics(p), len(p.texts)
    assert sum(sum(row.values()) for row in metrics["confusion"].values()) == rows
    assert sum(row["support"] for row in metrics["per_class"].values()) == rows
    assert sum(b.rows for b in calibration_bins(p.scores, p.right) if b) == rows
    low, high = metrics["accuracy_interval"]
    assert 0 <= low <= metrics["accuracy"] <= high <= 1
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    wrong = [row["row"] for row in confident_errors(p, rows)]
    assert sorted(wrong) == list(np.flatnonzero(p.predicted != p.targets))
    assert sum(pair["rows"] for pair in confused_pairs(p, 100)) == len(wrong)


def test_all_right():
    p = answers([0, 1, 2, 0], [0, 1, 2, 0], 3)
    metrics = classification_metrics(p)
    assert metrics["accuracy"] == metrics["macro_f1"] == metrics["weighted_f1"] == 1
    assert metrics["expected_calibration_error"] == 0
    assert metrics["confusion"] == {"class_0": {"class_0": 2}, "class_1": {"class_1": 1}, "class_2": {"class_2": 1}}
    assert confused_pairs(p, 5) == confident_errors(p, 5) == []
    assert most_confused(confusion_counts(p), 5).tolist() == []


def test_all_wrong_with_full_confidence_has_the_largest_calibration_error():
    metrics = classification_metrics(answers([0, 1, 2], [1, 2, 0], 3))
    assert metrics["accuracy"] == metrics["macro_f1"] == metrics["macro_precision"] == metrics["macro_recall"] == 0
    assert metrics["expected_calibration_error"] == 1


def test_a_single_class():
    metrics = classification_metrics(predictions([0, 0], [[1.0], [1.0]]))
    assert metrics["accuracy"] == metrics["macro_f1"] == 1
    assert metrics["expected_calibration_error"] == 0


def test_a_class_in_neither_targets_nor_predictions_has_no_metrics_and_no_part_in_the_average():
    metrics = classification_metrics(answers([0, 1], [0, 1], 3))
    assert metrics["per_class"]["class_2"] == {"precision": None, "recall": None, "f1": None, "support": 0}
    assert metrics["macro_f1"] == 1


def test_a_class_that_is_only_predicted_lowers_the_average():
    metrics = classification_metrics(answers([0, 1], [0, 2], 3))
    assert metrics["per_class"]["class_2"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert metrics["macro_f1"] == pytest.approx(1 / 3)
    assert "class_2" not in metrics["confusion"]


def test_confusion_is_true_class_first():
    p = answers([0, 0, 0, 1], [0, 1, 1, 1], 2)
    assert confusion_counts(p).tolist() == confusion_matrix([0, 0, 0, 1], [0, 1, 1, 1]).tolist()
    assert classification_metrics(p)["confusion"] == {
        "class_0": {"class_0": 1, "class_1": 2},
        "class_1": {"class_1": 1},
    }
    assert confused_pairs(p, 5) == [
        {"target": "class_0", "predicted": "class_1", "rows": 2, "share": pytest.approx(2 / 3)}
    ]


def test_confident_errors_come_first_and_hold_their_text():
    p = predictions([0, 0, 1], [[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]])
    first, second = confident_errors(p, 10)
    assert first == {
        "row": 1,
        "text": "text 1",
        "target": "class_0",
        "predicted": "class_1",
        "score": pytest.approx(0.9),
        "target_score": pytest.approx(0.1),
    }
    assert second["row"] == 0
    assert confident_errors(p, 1) == [first]


def test_most_confused_counts_errors_on_both_sides():
    p = answers([0, 0, 1, 2, 3], [1, 1, 1, 3, 3], 5)
    assert most_confused(confusion_counts(p), 2).tolist() == [0, 1]
    assert most_confused(confusion_counts(p), 10).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("rows", "shown"), [(1, [0]), (3, [0, 1, 2]), (101, [0, 25, 50, 75, 100])])
def test_examples_are_spread_over_the_rows_without_repetition(rows, shown):
    p = answers([0] * rows, [0] * rows, 2)
    assert [row["row"] for row in examples(p, 5)] == shown


def test_no_rows_is_an_error_a_person_can_mend():
    with pytest.raises(UserError, match="no rows to evaluate"):
        predictions([], np.zeros((0, 2)))


@pytest.mark.parametrize(
    ("targets", "probabilities", "labels", "message"),
    [
        ([0], [[0.5, 0.5]], ["a"], r"probabilities \[1, 1\]"),
        ([0], [[0.5, 0.5]], ["a", "a"], "differ from each other"),
        ([2], [[0.5, 0.5]], ["a", "b"], r"targets must be in 0..1, but reach 2..2"),
        ([-1], [[0.5, 0.5]], ["a", "b"], r"but reach -1..-1"),
        ([0], [[np.nan, 0.5]], ["a", "b"], "numbers in"),
        ([0], [[4.2, -1.0]], ["a", "b"], "numbers in"),
    ],
)
def test_contradictory_predictions_are_refused(targets, probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        predictions(targets, probabilities, labels)


def test_the_baseline_learns_words_and_copes_with_other_scripts() -> None:
    texts = ["rain and sun", "wind and rain", "soup and bread", "bread and rice", "雨と風", "パンと米"]
    labels = ["weather", "weather", "food", "food", "weather", "food"]
    metrics = baseline_metrics({"text": texts, "label": labels}, {"text": texts, "label": labels})
    assert metrics == {"accuracy": 1.0, "macro_f1": 1.0}
