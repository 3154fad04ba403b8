"""Writes what an evaluation of question answering found: figures and predictions as JSON, pictures, one HTML page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_modules.evaluation.answer_errors import KINDS, described, errors_by_kind, excerpt
from lightning_modules.evaluation.answer_plots import breakdown_picture
from lightning_modules.evaluation.answers import Answered, answer_calibration, qa_metrics, write_predictions
from lightning_modules.evaluation.drawing import Theme
from lightning_modules.evaluation.page import draw_pictures, write_json, write_page
from lightning_modules.evaluation.plots import calibration_picture, history_picture

KEPT_ERRORS = 100  # of each kind, in errors.json
SHOWN_ERRORS = 8  # of each kind
PICTURES = ("breakdown", "calibration", "history")


def write_qa_report(out: Path, name: str, answered: Sequence[Answered], *, extras: Mapping[str, Any]) -> dict[str, Any]:
    """Writes `metrics.json`, `errors.json`, `predictions.json`, the pictures and `report.html`; returns the metrics.

    Args:
        out: folder, made where missing; a former report in it is replaced.
        name: of the model, the page's title.
        answered: the test questions with the model's answers.
        extras: what the page tells beside the answers; each key is optional and is kept in `metrics.json`.
            `gate`: `Gate.verdict`.
            `comparison`: a row for each exported format; the keys of the rows are the columns.
            `history`: rows with `epoch`, `step` and any of `train_loss`, `val_loss`, `val_f1`, `val_exact_match`;
                step 0 is the model before fine-tuning.
            `profile`: speed and memory, nested as they come.
            `training`, `data`: settings and counts, nested as they come.

    Returns:
        `qa_metrics` of `answered`, with `errors` (questions and share of each kind) and the extras.
    """
    errors = errors_by_kind(answered)
    metrics = qa_metrics(answered)
    metrics["errors"] = {
        kind: {"questions": len(ones), "share": len(ones) / len(answered)} for kind, ones in errors.items()
    }
    metrics |= dict(extras)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", metrics)
    write_json(out / "errors.json", [described(one) for ones in errors.values() for one in ones[:KEPT_ERRORS]])
    write_predictions(out / "predictions.json", answered)

    def draw(theme: Theme) -> Iterator[tuple[str, bytes]]:
        yield "breakdown", breakdown_picture(metrics["by"], theme)
        yield "calibration", calibration_picture(answer_calibration(answered), theme)
        if extras.get("history"):
            yield "history", history_picture(extras["history"], theme)

    write_page(
        out / "report.html",
        "qa_report.html.j2",
        draw_pictures(out, draw, PICTURES),
        name=name,
        metrics=metrics,
        kinds=KINDS,
        examples={
            kind: [{**described(one), "excerpt": excerpt(one)} for one in ones[:SHOWN_ERRORS]]
            for kind, ones in errors.items()
        },
    )
    return metrics
