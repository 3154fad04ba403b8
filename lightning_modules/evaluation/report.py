"""Writes what an evaluation of a classifier found: figures as JSON, pictures, and one HTML page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning_modules.evaluation.calibration import calibration_bins
from lightning_modules.evaluation.drawing import Theme
from lightning_modules.evaluation.evaluation_page import write_evaluation
from lightning_modules.evaluation.metrics import Predictions, classification_metrics, confusion_counts
from lightning_modules.evaluation.mistakes import confident_errors, confused_pairs, examples
from lightning_modules.evaluation.plots import calibration_picture, confusion_picture

KEPT_ERRORS = 100  # in errors.json
SHOWN_ERRORS = 25
SHOWN_PAIRS = 15
SHOWN_EXAMPLES = 12
SHOWN_CLASSES = 25  # the rest is folded
PICTURES = ("confusion_matrix", "complexity_confusion_matrix", "calibration")


def write_report(
    out: Path, name: str, intent: Predictions, complexity: Predictions | None, *, extras: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes `metrics.json`, `errors.json`, the pictures and `report.html` into `out`, and returns the metrics.

    Args:
        out, name: see `write_evaluation`.
        intent: answers of the label head on the test set.
        complexity: answers of the complexity head on the rows that have a level; None: no such head.
        extras: what the page tells beside the predictions, as `metrics` of `write_evaluation`; and `baseline`:
            `accuracy` and `macro_f1` of a simple model on the same rows. Kept in `metrics.json`.

    Returns:
        `classification_metrics` of `intent`, with those of `complexity` under that key, and the extras.
    """
    metrics = classification_metrics(intent)
    if complexity:
        metrics["complexity"] = classification_metrics(complexity)
    metrics |= extras

    def draw(theme: Theme) -> Iterator[tuple[str, bytes]]:
        yield "confusion_matrix", confusion_picture(intent.labels, confusion_counts(intent), theme)
        yield "calibration", calibration_picture(calibration_bins(intent.scores, intent.right), theme)
        if complexity:
            counts = confusion_counts(complexity)
            yield "complexity_confusion_matrix", confusion_picture(complexity.labels, counts, theme)

    write_evaluation(
        out,
        name,
        "report.html.j2",
        metrics=metrics,
        errors=confident_errors(intent, KEPT_ERRORS),
        draw=draw,
        known=PICTURES,
        classes=_worst_first(metrics["per_class"]),
        shown_classes=SHOWN_CLASSES,
        pairs=confused_pairs(intent, SHOWN_PAIRS),
        shown_errors=confident_errors(intent, SHOWN_ERRORS),
        wrong=int((~intent.right).sum()),
        examples=examples(intent, SHOWN_EXAMPLES),
    )
    return metrics


def _worst_first(per_class: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """By F1, the lowest first; classes without figures last."""
    return sorted(per_class.items(), key=lambda item: (item[1]["f1"] is None, item[1]["f1"] or 0.0))
