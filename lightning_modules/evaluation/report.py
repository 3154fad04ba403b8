"""Writes what an evaluation found: figures as JSON, pictures, and one HTML page."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lightning_modules.evaluation.metrics import (
    Predictions,
    calibration_bins,
    classification_metrics,
    confusion_counts,
)
from lightning_modules.evaluation.mistakes import confident_errors, confused_pairs, examples
from lightning_modules.evaluation.plots import (
    DARK,
    LIGHT,
    Theme,
    calibration_picture,
    confusion_picture,
    history_picture,
)

KEPT_ERRORS = 100  # in errors.json
SHOWN_ERRORS = 25
SHOWN_PAIRS = 15
SHOWN_EXAMPLES = 12
SHOWN_CLASSES = 25  # the rest is folded
SHOWN_CHARACTERS = 400  # of one text
PICTURES = ("confusion_matrix", "complexity_confusion_matrix", "calibration", "history")

Pictures = dict[str, dict[str, bytes]]


def write_report(
    out: Path, name: str, intent: Predictions, complexity: Predictions | None, *, extras: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes `metrics.json`, `errors.json`, the pictures and `report.html` into `out`, and returns the metrics.

    Args:
        out: folder, made where missing; a former report in it is replaced.
        name: of the model, the page's title.
        intent: answers of the label head on the test set.
        complexity: answers of the complexity head on the rows that have a level; None: no such head.
        extras: what the page tells beside the predictions; each key is optional and is kept in `metrics.json`.
            `baseline`: `accuracy` and `macro_f1` of a simple model on the same rows.
            `gate`: `Gate.verdict`.
            `comparison`: a row for each exported format; the keys of the rows are the columns.
            `history`: rows with `epoch`, `step` and any of `train_loss`, `val_loss`, `val_macro_f1`.
            `training`, `data`: settings and counts, nested as they come.

    Returns:
        `classification_metrics` of `intent`, with those of `complexity` under that key, and the extras.
    """
    metrics = classification_metrics(intent)
    if complexity:
        metrics["complexity"] = classification_metrics(complexity)
    metrics |= extras
    out.mkdir(parents=True, exist_ok=True)
    _write_json(out / "metrics.json", metrics)
    _write_json(out / "errors.json", confident_errors(intent, KEPT_ERRORS))
    pictures = _pictures(intent, complexity, extras)
    for picture in PICTURES:
        (out / f"{picture}.png").unlink(missing_ok=True)
    for picture, variants in pictures.items():
        (out / f"{picture}.png").write_bytes(variants["light"])
    page = _render(name, intent, metrics, pictures)
    (out / "report.html").write_text(page, encoding="utf-8", errors="backslashreplace")
    return metrics


def _pictures(intent: Predictions, complexity: Predictions | None, extras: Mapping[str, Any]) -> Pictures:
    """PNG bytes by file name without suffix and by theme."""

    def draw(theme: Theme) -> Iterator[tuple[str, bytes]]:
        yield "confusion_matrix", confusion_picture(intent.labels, confusion_counts(intent), theme)
        yield "calibration", calibration_picture(calibration_bins(intent), theme)
        if complexity:
            counts = confusion_counts(complexity)
            yield "complexity_confusion_matrix", confusion_picture(complexity.labels, counts, theme)
        if extras.get("history"):
            yield "history", history_picture(extras["history"], theme)

    dark = dict(draw(DARK))
    return {picture: {"light": light, "dark": dark[picture]} for picture, light in draw(LIGHT)}


def _render(name: str, intent: Predictions, metrics: Mapping[str, Any], pictures: Pictures) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {f.__name__[1:]: f for f in (_breakable, _figure, _flat, _shorten, _words)}
    return environment.get_template("report.html.j2").render(
        name=name,
        metrics=metrics,
        classes=_worst_first(metrics["per_class"]),
        shown_classes=SHOWN_CLASSES,
        pairs=confused_pairs(intent, SHOWN_PAIRS),
        errors=confident_errors(intent, SHOWN_ERRORS),
        wrong=int((intent.predicted != intent.targets).sum()),
        examples=examples(intent, SHOWN_EXAMPLES),
        pictures={
            picture: {theme: b64encode(png).decode("ascii") for theme, png in variants.items()}
            for picture, variants in pictures.items()
        },
    )


def _worst_first(per_class: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """By F1, the lowest first; classes without figures last."""
    return sorted(per_class.items(), key=lambda item: (item[1]["f1"] is None, item[1]["f1"] or 0.0))


def _figure(value: Any) -> str:
    """A number as people read it: whole numbers with separators, fractions with four digits, others with fewer."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, list | tuple):
        return ", ".join(_figure(item) for item in value)
    return str(value)


def _decimal(value: float) -> str:
    if value != 0 and abs(value) < 0.001:
        return f"{value:.2g}"
    return f"{value:.4f}" if abs(value) <= 1 else f"{value:,.1f}" if abs(value) >= 100 else f"{value:.2f}"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """A nested mapping as rows of dotted name and value."""
    return [
        row
        for key, value in tree.items()
        for row in (_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)])
    ]


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _breakable(name: str) -> Markup:
    """A label that a narrow column may break after an underscore, and is copied without a break."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _write_json(path: Path, content: Any) -> None:
    """Lone surrogates in users' texts cannot be encoded; written as their JSON escape they can."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")
