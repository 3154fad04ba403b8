"""What the evaluation of every task leaves: its figures and errors as JSON, pictures, and one HTML page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_modules.evaluation.drawing import Theme
from lightning_modules.evaluation.page import Draw, draw_pictures, write_page
from lightning_modules.evaluation.plots import history_picture
from lightning_modules.text_files import write_json


def write_evaluation(
    out: Path,
    name: str,
    template: str,
    *,
    metrics: Mapping[str, Any],
    errors: Sequence[Mapping[str, Any]],
    draw: Draw,
    known: Iterable[str],
    **content: Any,
) -> None:
    """Writes `metrics.json`, `errors.json`, the pictures and `report.html` into `out`.

    Args:
        out: folder, made where missing; a former report in it is replaced.
        name: of the model, the page's title.
        template: an extension of `page.html.j2`, rendered with `name`, `metrics` and `content`.
        metrics: the task's own, and what else the page tells; each of these keys is optional.
            `gate`: `Gate.verdict`.
            `comparison`: a row for each exported format; the keys of the rows are the columns.
            `history`: rows with `epoch`, `step` and any of `train_loss`, `val_loss` and the figures of validation;
                step 0 is the model before fine-tuning. Drawn as the picture `history`.
            `training`, `data`: settings and counts, nested as they come.
        draw: gives the task's own pictures; `known`: every name that it may ever give.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", metrics)
    write_json(out / "errors.json", errors)

    def draw_all(theme: Theme) -> Iterator[tuple[str, bytes]]:
        yield from draw(theme)
        if metrics.get("history"):
            yield "history", history_picture(metrics["history"], theme)

    pictures = draw_pictures(out, draw_all, (*known, "history"))
    write_page(out / "report.html", template, pictures, name=name, metrics=metrics, **content)
