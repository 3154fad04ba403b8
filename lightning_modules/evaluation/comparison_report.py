"""Writes a comparison of models: figures as JSON, a picture of quality against speed, and one HTML page."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lightning_modules.evaluation.drawing import LIGHT, Theme, drawing, png
from lightning_modules.evaluation.page import draw_pictures, write_page
from lightning_modules.text_files import write_json

Row = Mapping[str, Any]
Gain = dict[str, float | bool | None]
MARKERS = "osD^vPX*"
# Of the tasks, the one to draw first.
QUALITY = {"accuracy": "accuracy", "macro_f1": "macro F1", "f1": "F1", "exact_match": "exact match"}


def write_comparison(
    out: Path, name: str, rows: Sequence[Row], *, gains: Mapping[str, Gain], facts: Mapping[str, Any]
) -> None:
    """Writes `comparison.json`, `comparison.png` and `comparison.html` into `out`.

    Args:
        out: folder, made where missing.
        name: the page's title.
        rows: of each model in each form; `comparison_rows`.
        gains: `gains` of one of the models, or none.
        facts: settings and counts, nested as they come.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "comparison.json", {**facts, "gain": gains, "models": rows})

    def draw(theme: Theme) -> Iterator[tuple[str, bytes]]:
        yield "comparison", comparison_picture(rows, theme)

    pictures = draw_pictures(out, draw, ("comparison",))
    write_page(
        out / "comparison.html",
        "comparison.html.j2",
        pictures,
        name=name,
        metrics={},
        rows=[told(row, rows) for row in rows],
        over_seeds=over_seeds(rows),
        quality=QUALITY[quality(rows)[0]],
        gains=gains,
        facts=facts,
    )


def gains(rows: Sequence[Row], model: str, other: str) -> dict[str, Gain]:
    """By form: how much the accuracy of a model is above another's, and whether by more than chance may do.

    `deviation` is the larger of both standard deviations over the seeds, `above_deviation` whether the difference is
    more than it; both are null with one seed.
    """
    found = {(row["model"], row["form"]): row for row in rows}
    by_form: dict[str, Gain] = {}
    for form in dict.fromkeys(row["form"] for row in rows):
        one, two = found[model, form], found[other, form]
        difference = one["accuracy"] - two["accuracy"]
        spreads = [row["accuracy_std"] for row in (one, two)]
        deviation = None if None in spreads else max(spreads)
        above = None if deviation is None else difference > deviation
        by_form[form] = {"accuracy": difference, "deviation": deviation, "above_deviation": above}
    return by_form


def quality(rows: Sequence[Row]) -> list[str]:
    """The figures of quality that the rows have, the one to draw first."""
    return [figure for figure in QUALITY if figure in rows[0]]


def over_seeds(rows: Sequence[Row]) -> bool:
    return any(row["seeds"] > 1 for row in rows)


def told(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    """A row as the page and the terminal show it: deviations beside their means, in per cent."""
    shown: dict[str, Any] = {"model": row["model"], "form": row["form"]}
    for figure in quality(rows):
        deviation = row[f"{figure}_std"]
        around = "" if deviation is None else f" ± {100 * deviation:.2f}"
        shown[f"{QUALITY[figure]}, %"] = f"{100 * row[figure]:.2f}{around}"
    facts = ("parameters", "size_mb", "latency_ms_p50", "rows_per_second")
    return shown | {key: row[key] for key in (("seeds", *facts) if over_seeds(rows) else facts)}


def as_text(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    shown = [told(row, rows) for row in rows]
    table = [[key.replace("_", " ") for key in shown[0]], *([_cell(value) for value in row.values()] for row in shown)]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    return "\n".join("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in table)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}" if isinstance(value, float) else str(value)


def comparison_picture(rows: Sequence[Row], theme: Theme = LIGHT) -> bytes:
    """Accuracy (or F1), with its deviation over the seeds, against the rows a second; a marker for each model."""
    drawn = quality(rows)[0]
    models = list(dict.fromkeys(row["model"] for row in rows))
    with drawing(theme):
        figure = Figure(figsize=(8.4, 4.4), layout="constrained")
        axes = figure.add_subplot()
        for form, colour in (("fp32", theme.second), ("int8", theme.accent)):
            for model, marker in zip(models, cycle(MARKERS), strict=False):
                row = next(row for row in rows if (row["model"], row["form"]) == (model, form))
                deviation = 100 * (row[f"{drawn}_std"] or 0)
                place = row["rows_per_second"], 100 * row[drawn]
                axes.errorbar(*place, yerr=deviation, marker=marker, color=colour, capsize=3, label=f"{model}, {form}")
        axes.set(xscale="log", xlabel="rows a second, batches of 32", ylabel=f"{QUALITY[drawn]}, %")
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(color=theme.faint, linewidth=0.7)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        return png(figure)
