"""Write a comparison of models: metrics as JSON, a picture of quality against speed, an HTML page, and a table."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lightning_modules.evaluation.drawing import ACCENT, FAINT, SECOND, drawing, png
from lightning_modules.evaluation.page import write_page, write_pictures
from lightning_modules.text_files import write_json

Row = Mapping[str, Any]
Gain = dict[str, float | bool | None]
MARKERS = "osD^vPX*"
PLAIN_WIDTH = 1000  # characters of a line, which is never wrapped
# Metrics of the tasks by their label, the one to draw first.
QUALITY = {"accuracy": "accuracy", "macro_f1": "macro F1", "f1": "F1", "exact_match": "exact match"}


def write_comparison(
    out: Path, name: str, rows: Sequence[Row], *, gains: Mapping[str, Gain], details: Mapping[str, Any]
) -> None:
    """Write `comparison.json`, `comparison.png` and `comparison.html` into `out`.

    Args:
        out: folder, made if missing.
        name: the page's title.
        rows: one for each model in each form, as `comparison_rows` returns them.
        gains: `gains` of one of the models, or an empty mapping.
        details: settings and counts, nested in any way.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "comparison.json", {**details, "gain": gains, "models": rows})
    write_page(
        out / "comparison.html",
        "comparison_report.html.j2",
        write_pictures(out, {"comparison": comparison_picture(rows)}),
        name=name,
        metrics={},
        rows=[shown_row(row, rows) for row in rows],
        over_seeds=over_seeds(rows),
        quality=QUALITY[quality(rows)[0]],
        gains=gains,
        details=details,
    )


def gains(rows: Sequence[Row], model: str, other: str) -> dict[str, Gain]:
    """Return by form how much the accuracy of a model is above another's, and whether by more than chance may do.

    `deviation` is the larger of both standard deviations over the seeds, `above_deviation` whether the difference is
    more than it; both are null with one seed.
    """
    by_name = {(row["model"], row["form"]): row for row in rows}
    by_form: dict[str, Gain] = {}
    for form in dict.fromkeys(row["form"] for row in rows):
        one, two = by_name[model, form], by_name[other, form]
        difference = one["accuracy"] - two["accuracy"]
        spreads = [row["accuracy_std"] for row in (one, two)]
        deviation = None if None in spreads else max(spreads)
        above = None if deviation is None else difference > deviation
        by_form[form] = {"accuracy": difference, "deviation": deviation, "above_deviation": above}
    return by_form


def quality(rows: Sequence[Row]) -> list[str]:
    """Return the names of the quality metrics that the rows have, the one to draw first."""
    return [metric for metric in QUALITY if metric in rows[0]]


def over_seeds(rows: Sequence[Row]) -> bool:
    return any(row["seeds"] > 1 for row in rows)


def shown_row(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    """Return a row as the page and the terminal show it: deviations beside their means, in per cent."""
    shown: dict[str, Any] = {"model": row["model"], "form": row["form"]}
    for metric in quality(rows):
        deviation = row[f"{metric}_std"]
        around = "" if deviation is None else f" ± {100 * deviation:.2f}"
        shown[f"{QUALITY[metric]}, %"] = f"{100 * row[metric]:.2f}{around}"
    keys = ("parameters", "size_mb", "latency_ms_p50", "rows_per_second")
    return shown | {key: row[key] for key in (("seeds", *keys) if over_seeds(rows) else keys)}


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows as a table: drawn in a terminal, plain lines that are never wrapped in a file or a pipe."""
    shown = [shown_row(row, rows) for row in rows]
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    table = Table(box=SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for key in shown[0]:
        table.add_column(key.replace("_", " "), justify="left" if key in ("model", "form") else "right")
    for row in shown:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    console.print(table)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}" if isinstance(value, float) else str(value)


def comparison_picture(rows: Sequence[Row]) -> bytes:
    """Draw accuracy or F1, with its deviation over the seeds, against the rows a second; a marker for each model."""
    drawn = quality(rows)[0]
    models = list(dict.fromkeys(row["model"] for row in rows))
    with drawing():
        figure = Figure(figsize=(8.4, 4.4), layout="constrained")
        axes = figure.add_subplot()
        for form, colour in (("fp32", SECOND), ("int8", ACCENT)):
            for model, marker in zip(models, cycle(MARKERS), strict=False):
                row = next(row for row in rows if (row["model"], row["form"]) == (model, form))
                deviation = 100 * (row[f"{drawn}_std"] or 0)
                place = row["rows_per_second"], 100 * row[drawn]
                axes.errorbar(*place, yerr=deviation, marker=marker, color=colour, capsize=3, label=f"{model}, {form}")
        axes.set(xscale="log", xlabel="rows a second, batches of 32", ylabel=f"{QUALITY[drawn]}, %")
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(color=FAINT, linewidth=0.7)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        return png(figure)
