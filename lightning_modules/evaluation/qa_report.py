"""Write the evaluation of question answering: metrics, errors and predictions as JSON, pictures, and one HTML page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_modules.evaluation.page import write_evaluation
from lightning_modules.evaluation.plots import breakdown_picture, calibration_picture
from lightning_modules.evaluation.qa_errors import KINDS, error_row, errors_by_kind, excerpt
from lightning_modules.evaluation.qa_metrics import Answered, answer_calibration, qa_metrics, write_predictions

SAVED_ERRORS = 100  # errors of each kind in errors.json
SHOWN_ERRORS = 8  # errors of each kind on the page


def write_qa_report(out: Path, name: str, answered: Sequence[Answered], *, extras: Mapping[str, Any]) -> dict[str, Any]:
    """Write `metrics.json`, `errors.json`, `predictions.json`, the pictures and `report.html`; return the metrics.

    Args:
        out, name: see `write_evaluation`.
        answered: the test questions with the model's answers.
        extras: what else the page shows, as `metrics` of `write_evaluation`; all of it is added to `metrics.json`. And
            `profile`: speed and memory, nested in any way.
            `calibration`: the `temperature` of the scores, the number of `questions` that it was fitted on, and the
                calibration error without it, `expected_calibration_error_before`.

    Returns:
        `qa_metrics` of `answered`, with `errors` (questions and share of each kind) and the extras.
    """
    errors = errors_by_kind(answered)
    metrics = qa_metrics(answered)
    metrics["errors"] = {
        kind: {"questions": len(ones), "share": len(ones) / len(answered)} for kind, ones in errors.items()
    }
    metrics |= dict(extras)

    pictures = {
        "breakdown": breakdown_picture(metrics["by"]),
        "calibration": calibration_picture(answer_calibration(answered)),
    }
    write_evaluation(
        out,
        name,
        "qa_report.html.j2",
        metrics=metrics,
        errors=[error_row(one) for ones in errors.values() for one in ones[:SAVED_ERRORS]],
        pictures=pictures,
        kinds=KINDS,
        examples={
            kind: [{**error_row(one), "excerpt": excerpt(one)} for one in ones[:SHOWN_ERRORS]]
            for kind, ones in errors.items()
        },
    )
    write_predictions(out / "predictions.json", answered)
    return metrics
