"""Writes what an evaluation of question answering found: figures and predictions as JSON, pictures, one HTML page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_modules.evaluation.answer_errors import KINDS, described, errors_by_kind, excerpt
from lightning_modules.evaluation.answer_plots import breakdown_picture
from lightning_modules.evaluation.answers import Answered, answer_calibration, qa_metrics, write_predictions
from lightning_modules.evaluation.drawing import Theme
from lightning_modules.evaluation.evaluation_page import write_evaluation
from lightning_modules.evaluation.plots import calibration_picture

KEPT_ERRORS = 100  # of each kind, in errors.json
SHOWN_ERRORS = 8  # of each kind
PICTURES = ("breakdown", "calibration")


def write_qa_report(out: Path, name: str, answered: Sequence[Answered], *, extras: Mapping[str, Any]) -> dict[str, Any]:
    """Writes `metrics.json`, `errors.json`, `predictions.json`, the pictures and `report.html`; returns the metrics.

    Args:
        out, name: see `write_evaluation`.
        answered: the test questions with the model's answers.
        extras: what the page tells beside the answers, as `metrics` of `write_evaluation`. Kept in `metrics.json`. And
            `profile`: speed and memory, nested as they come.
            `calibration`: the `temperature` of the scores, the `questions` that it was fitted on, and the calibration
                error without it, `expected_calibration_error_before`.

    Returns:
        `qa_metrics` of `answered`, with `errors` (questions and share of each kind) and the extras.
    """
    errors = errors_by_kind(answered)
    metrics = qa_metrics(answered)
    metrics["errors"] = {
        kind: {"questions": len(ones), "share": len(ones) / len(answered)} for kind, ones in errors.items()
    }
    metrics |= dict(extras)

    def draw(theme: Theme) -> Iterator[tuple[str, bytes]]:
        yield "breakdown", breakdown_picture(metrics["by"], theme)
        yield "calibration", calibration_picture(answer_calibration(answered), theme)

    write_evaluation(
        out,
        name,
        "qa_report.html.j2",
        metrics=metrics,
        errors=[described(one) for ones in errors.values() for one in ones[:KEPT_ERRORS]],
        draw=draw,
        known=PICTURES,
        kinds=KINDS,
        examples={
            kind: [{**described(one), "excerpt": excerpt(one)} for one in ones[:SHOWN_ERRORS]]
            for kind, ones in errors.items()
        },
    )
    write_predictions(out / "predictions.json", answered)
    return metrics
