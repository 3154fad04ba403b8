"""Write a report: metrics and errors as JSON, pictures, and one HTML page with the pictures embedded."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lightning_modules.evaluation.plots import history_picture
from lightning_modules.text_files import write_json

SHOWN_CHARACTERS = 400  # longer texts are shortened


def write_evaluation(
    out: Path,
    name: str,
    template: str,
    *,
    metrics: Mapping[str, Any],
    errors: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, bytes | None],
    **content: Any,
) -> None:
    """Write `metrics.json`, `errors.json`, the pictures and `report.html` into `out`.

    Args:
        out: folder, made if missing; an earlier report in it is replaced.
        name: of the model, the page's title.
        template: an extension of `page.html.j2`, rendered with `name`, `metrics` and `content`.
        metrics: the task's own, and what else the page shows; each of these keys is optional.
            `gate`: `Gate.verdict`.
            `comparison`: a row for each exported form; the keys of the first row are the columns.
            `history`: rows with `epoch`, `step` and any of `train_loss`, `val_loss` and the validation metrics; step 0
                is the model before fine-tuning. Drawn as the picture `history`.
            `training`, `data`: settings and counts, nested in any way.
        errors: content of `errors.json`.
        pictures: the task's own, as PNG by name; None for one that this model does not have.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", metrics)
    write_json(out / "errors.json", errors)
    history = history_picture(metrics["history"]) if metrics.get("history") else None
    drawn = write_pictures(out, {**pictures, "history": history})
    write_page(out / "report.html", template, drawn, name=name, metrics=metrics, **content)


def write_pictures(out: Path, pictures: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """Write `<name>.png` for each picture, and return them; one that is None removes that of an earlier report."""
    for name, picture in pictures.items():
        path = out / f"{name}.png"
        if picture is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(picture)
    return {name: picture for name, picture in pictures.items() if picture is not None}


def write_page(path: Path, template: str, pictures: Mapping[str, bytes], **content: Any) -> None:
    """Render a template of this folder."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {f.__name__[1:]: f for f in (_breakable, _number, _flat, _percent, _shorten, _words)}
    embedded = {name: b64encode(picture).decode("ascii") for name, picture in pictures.items()}
    page = environment.get_template(template).render(pictures=embedded, **content)
    path.write_text(page, encoding="utf-8", errors="backslashreplace")


def _number(value: Any) -> str:
    """Format a number for people: integers with separators, fractions with four digits, others with fewer."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, list | tuple):
        return ", ".join(_number(item) for item in value)
    return str(value)


def _decimal(value: float) -> str:
    if value != 0 and abs(value) < 0.001:
        return f"{value:.2g}"
    return f"{value:.4f}" if abs(value) <= 1 else f"{value:,.1f}" if abs(value) >= 100 else f"{value:.2f}"


def _percent(value: float | None) -> str:
    """Format a fraction of 1 in per cent, without the sign."""
    return "–" if value is None else f"{100 * value:.2f}"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return a nested mapping as rows of dotted name and value."""
    return [
        row
        for key, value in tree.items()
        for row in (_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)])
    ]


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _breakable(name: str) -> Markup:
    """Let a narrow column break a label after an underscore; it is copied without a break."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _words(name: str) -> str:
    return name.replace("_", " ")
