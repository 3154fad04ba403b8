"""Write the evaluation of a classifier: metrics and errors as JSON, pictures, and one HTML page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_modules.evaluation.calibration import calibration_bins
from lightning_modules.evaluation.classification_metrics import (
    Predictions,
    classification_metrics,
    confident_errors,
    confused_pairs,
    confusion_counts,
    examples,
)
from lightning_modules.evaluation.page import write_evaluation
from lightning_modules.evaluation.plots import calibration_picture, confusion_picture

SAVED_ERRORS = 100  # errors in errors.json
SHOWN_ERRORS = 25
SHOWN_PAIRS = 15
SHOWN_EXAMPLES = 12
SHOWN_CLASSES = 25  # classes in the open table; further ones are folded


def write_classification_report(
    out: Path, name: str, intent: Predictions, complexity: Predictions | None, *, extras: Mapping[str, Any]
) -> dict[str, Any]:
    """Write `metrics.json`, `errors.json`, the pictures and `report.html` into `out`, and return the metrics.

    Args:
        out, name: see `write_evaluation`.
        intent: answers of the label head on the test set.
        complexity: answers of the complexity head on the rows that have a level; None without that head.
        extras: what else the page shows, as `metrics` of `write_evaluation`; and `baseline`: `accuracy` and `macro_f1`
            of a simple model on the same rows. All of it is added to `metrics.json`.

    Returns:
        `classification_metrics` of `intent`, with those of `complexity` under that key, and the extras.
    """
    metrics = classification_metrics(intent)
    if complexity:
        metrics["complexity"] = classification_metrics(complexity)
    metrics |= extras

    levels = confusion_picture(complexity.labels, confusion_counts(complexity)) if complexity else None
    pictures = {
        "confusion_matrix": confusion_picture(intent.labels, confusion_counts(intent)),
        "complexity_confusion_matrix": levels,
        "calibration": calibration_picture(calibration_bins(intent.scores, intent.right)),
    }
    write_evaluation(
        out,
        name,
        "classification_report.html.j2",
        metrics=metrics,
        errors=confident_errors(intent, SAVED_ERRORS),
        pictures=pictures,
        classes=_worst_first(metrics["per_class"]),
        shown_classes=SHOWN_CLASSES,
        pairs=confused_pairs(intent, SHOWN_PAIRS),
        shown_errors=confident_errors(intent, SHOWN_ERRORS),
        wrong=int((~intent.right).sum()),
        examples=examples(intent, SHOWN_EXAMPLES),
    )
    return metrics


def _worst_first(per_class: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Sort by F1, the lowest first; classes without metrics last."""
    return sorted(per_class.items(), key=lambda item: (item[1]["f1"] is None, item[1]["f1"] or 0.0))
