"""The measured figures as a table and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from loadtest.bench.environment import machine
from loadtest.bench.rows import rows, title
from loadtest.report.pictures import plain_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (
    *("set-up", "clients", "requests/s", "of the bound", "bundle to it"),
    *("p50 ms", "p95 ms", "p99 ms", "generator cores", "wrong"),
)


def table(model: str, kind: str, figures: Mapping[str, Any]) -> Table:
    """One kind of a model's texts; `wrong` counts answers."""
    grid = Table(title=title(model, kind, figures), title_justify="left")
    for number, column in enumerate(COLUMNS):
        grid.add_column(column, justify="right" if number else "left", no_wrap=number > 0)
    for row in rows(figures):
        grid.add_row(*astuple(row))
    return grid


def draw(models: Mapping[str, Any], environment: Mapping[str, Any], path: Path) -> None:
    """One row for each kind of each model's texts: requests/s and p99 by the number of clients; writes a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = {
        f"{model}, {kind} texts": of_kind for model, of in models.items() for kind, of_kind in of["texts"].items()
    }
    figure, axes = pyplot.subplots(
        len(panels), 2, figsize=(11, 0.8 + 4 * len(panels)), squeeze=False, layout="constrained"
    )
    for (rate_axis, latency_axis), (name, figures) in zip(axes, panels.items(), strict=True):
        counts = sorted({int(clients) for by_clients in figures["setups"].values() for clients in by_clients})
        for setup, by_clients in figures["setups"].items():
            places = [counts.index(int(clients)) for clients in by_clients]
            for axis, figure_of in ((rate_axis, "requests_per_second"), (latency_axis, "p99")):
                curve(axis, places, [entry[figure_of] for entry in by_clients.values()], label=setup)
                axis.set_xticks(range(len(counts)), [f"{count}" for count in counts])
                axis.set_xlabel("clients")
        rate_axis.axhline(
            figures["bound"]["requests_per_second"]["median"], linestyle="--", color="grey", label="bound, no server"
        )
        rate_axis.set_ylim(bottom=0)
        rate_axis.set_title(f"{name}: requests/s")
        latency_axis.set_yscale("log")
        plain_numbers(latency_axis.yaxis)
        latency_axis.set_title(f"{name}: p99 latency, ms")
    # One for all panels, which have the same set-ups; within one it would hide curves.
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(machine(environment), fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def curve(axis: Axes, places: Sequence[int], spreads: Sequence[Mapping[str, float]], **style: Any) -> None:
    """Medians, and bars from the lowest to the highest repeat."""
    medians = [spread["median"] for spread in spreads]
    below = [spread["median"] - spread["min"] for spread in spreads]
    above = [spread["max"] - spread["median"] for spread in spreads]
    axis.errorbar(places, medians, (below, above), marker="o", capsize=4, **style)
