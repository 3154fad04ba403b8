"""Reports a benchmark: tables for the terminal and in GitHub's Markdown, and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from loadtest.bench.environment import machine
from loadtest.bench.measure import rate
from loadtest.bench.sweep import AXES
from loadtest.bench.variants import label
from loadtest.generator import busy
from loadtest.report.pictures import plain_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (
    *("set-up", "clients", "requests/s", "of the bound", "bundle to it"),
    *("p50 ms", "p95 ms", "p99 ms", "generator cores", "wrong"),
)
# Columns that the Markdown table has room for.
SHORT = ("set-up", "clients", "requests/s", "of the bound", "bundle to it", "p50 ms", "p99 ms")
SWEEP_COLUMNS = (
    *("rows", "requests/s", "p50 ms", "p50 ms a row", "p99 ms"),
    *("generator cores", "all workers, MiB", "wrong"),
)
CURVES = (("requests_per_second", "requests/s", "C0", "-"), ("p99", "p99, ms", "C1", "--"))

Metrics = Mapping[str, Any]


def title(model: str, kind: str, metrics: Metrics) -> str:
    """Describe what was sent."""
    work = metrics["work"]
    return (
        f"{model}, {kind} texts: {work['requests']} requests of {work['rows'] / work['requests']:.1f} rows, "
        f"{work['tokens'] / work['rows']:.0f} tokens a row; medians of the repeats (lowest – highest)"
    )


def rows(metrics: Metrics) -> Iterator[dict[str, str]]:
    """Yield the cells of one kind of texts by their columns, the upper bound first.

    They are medians, with the lowest and the highest repeat in brackets. A ratio is the bundle's requests/s to the
    variant's, each with its highest number of clients.
    """
    ratios = metrics["ratios"]["bundle_to"]
    bound = metrics["upper_bound"]["requests_per_second"]
    cells = dict.fromkeys(COLUMNS, "")
    yield cells | {
        "set-up": "bound: the model alone, no server",
        "requests/s": _rates(bound),
        "of the bound": "100 %",
    }
    for variant, by_clients in metrics["variants"].items():
        for clients, entry in by_clients.items():
            speed = entry["requests_per_second"]
            last = variant in ratios and clients == list(by_clients)[-1]
            yield cells | {
                "set-up": label(variant),
                "clients": clients,
                "requests/s": _rates(speed),
                "of the bound": f"{100 * speed['median'] / bound['median']:.0f} %",
                "bundle to it": _ratios(ratios[variant]) if last else "",
                "p50 ms": f"{entry['p50']['median']:.1f}",
                "p95 ms": f"{entry['p95']['median']:.1f}",
                "p99 ms": f"{entry['p99']['median']:.1f}",
                "generator cores": f"{entry['generator_cores']['median']:.2f}",
                "wrong": str(entry["failures"]),
            }


def table(model: str, kind: str, metrics: Metrics) -> Table:
    """Return the table of one kind of a model's texts; `wrong` counts answers."""
    grid = Table(title=title(model, kind, metrics), title_justify="left")
    for number, column in enumerate(COLUMNS):
        grid.add_column(column, justify="right" if number else "left", no_wrap=number > 0)
    for row in rows(metrics):
        grid.add_row(*row.values())
    return grid


def markdown(content: Metrics) -> str:
    """Write what bench.json holds as the machine in a line, and a table for each kind of each model's texts."""
    asked, environment = content["asked"], content["environment"]
    measured = f"{asked['repeats']} repeats, measured {environment['time']}"
    parts = [f"{machine(environment)}; {asked['seconds']:g} s each, {measured}.\n"]
    for model, entry in content["models"].items():
        for kind, metrics in entry["texts"].items():
            parts.append(f"{title(model, kind, metrics)}; {failures(metrics)} wrong answers:\n")
            lines = [f"| {' | '.join(SHORT)} |", "|" + "---|" * len(SHORT)]
            lines += [f"| {' | '.join(row[name] for name in SHORT)} |" for row in rows(metrics)]
            parts.append("\n".join(lines) + "\n")
            parts += [f"Not valid: {problem}.\n" for problem in problems(metrics)]
    return "\n".join(parts)


def failures(metrics: Metrics) -> int:
    """Count wrong answers to one kind of texts, from all variants."""
    return sum(entry["failures"] for by_clients in metrics["variants"].values() for entry in by_clients.values())


def problems(metrics: Metrics) -> list[str]:
    """Return which metrics of one kind of texts may be the load generator's own, and why."""
    return [
        f"{label(variant)}, {clients} clients: {reason}"
        for variant, by_clients in metrics["variants"].items()
        for clients, entry in by_clients.items()
        if (reason := busy(entry["generator_cores"]["max"]))
    ]


def draw(models: Mapping[str, Any], environment: Mapping[str, Any], path: Path) -> None:
    """Draw requests/s and p99 by the number of clients, a row for each kind of each model's texts, into a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = {
        f"{model}, {kind} texts": of_kind for model, one in models.items() for kind, of_kind in one["texts"].items()
    }
    figure, axes = pyplot.subplots(
        len(panels), 2, figsize=(11, 0.8 + 4 * len(panels)), squeeze=False, layout="constrained"
    )
    for (rate_axis, latency_axis), (name, metrics) in zip(axes, panels.items(), strict=True):
        counts = sorted({int(clients) for by_clients in metrics["variants"].values() for clients in by_clients})
        for variant, by_clients in metrics["variants"].items():
            places = [counts.index(int(clients)) for clients in by_clients]
            for axis, metric in ((rate_axis, "requests_per_second"), (latency_axis, "p99")):
                _curve(axis, places, [entry[metric] for entry in by_clients.values()], label=label(variant))
                axis.set_xticks(range(len(counts)), [f"{count}" for count in counts])
                axis.set_xlabel("clients")
        bound = metrics["upper_bound"]["requests_per_second"]["median"]
        rate_axis.axhline(bound, linestyle="--", color="grey", label="bound, no server")
        rate_axis.set_ylim(bottom=0)
        rate_axis.set_title(f"{name}: requests/s")
        latency_axis.set_yscale("log")
        plain_numbers(latency_axis.yaxis)
        latency_axis.set_title(f"{name}: p99 latency, ms")
    # One legend for all panels, which have the same variants; within one it would hide curves.
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(machine(environment), fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def sweep_table(name: str, model: str, entries: Sequence[Metrics]) -> Table:
    """Return a row for each value; memory is proportional (pss) where the system tells it, else resident."""
    grid = Table(title=f"{model}: sweep of {name}", title_justify="left")
    for column in (AXES[name], *SWEEP_COLUMNS):
        grid.add_column(column, justify="right", no_wrap=True)
    for entry in entries:
        memory, work = entry["memory_mib"], entry["work"]
        grid.add_row(
            str(entry["value"]),
            f"{work['rows'] / work['requests']:.1f}",
            _rates(entry["requests_per_second"]),
            f"{entry['p50']['median']:.1f}",
            f"{entry['p50_per_row']:.1f}",
            f"{entry['p99']['median']:.1f}",
            f"{entry['generator_cores']['median']:.2f}",
            f"{memory['workers']} x {memory.get('pss', memory['rss']) / memory['workers']:.0f}",
            str(entry["failures"]),
        )
    return grid


def sweep_problems(name: str, entries: Sequence[Metrics]) -> list[str]:
    """Return which metrics of a sweep may be the load generator's own, and why."""
    return [
        f"{entry['value']} {AXES[name]}: {reason}"
        for entry in entries
        if (reason := busy(entry["generator_cores"]["max"]))
    ]


def draw_sweep(content: Metrics, path: Path) -> None:
    """Draw requests/s (left) and p99 (right) by the value into a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(8, 5))
    entries = content["rows"]
    axis.set_xticks(range(len(entries)), [str(entry["value"]) for entry in entries])
    axis.set_xlabel(AXES[content["sweep"]])
    for side, (metric, name, colour, style) in zip((axis, axis.twinx()), CURVES, strict=True):
        spreads = [entry[metric] for entry in entries]
        _curve(side, range(len(entries)), spreads, color=colour, linestyle=style)
        side.set_ylim(0, 1.1 * max((spread["max"] for spread in spreads), default=1))
        side.set_ylabel(name, color=colour)
    figure.suptitle(f"{content['model']}: {machine(content['environment'])}", fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _curve(axis: Axes, places: Sequence[int], spreads: Sequence[Mapping[str, float]], **style: Any) -> None:
    """Draw medians, and bars from the lowest to the highest repeat."""
    medians = [spread["median"] for spread in spreads]
    below = [spread["median"] - spread["min"] for spread in spreads]
    above = [spread["max"] - spread["median"] for spread in spreads]
    axis.errorbar(places, medians, (below, above), marker="o", capsize=4, **style)


def _rates(spread: Mapping[str, float]) -> str:
    return f"{rate(spread['median'])} ({rate(spread['min'])} – {rate(spread['max'])})"


def _ratios(spread: Mapping[str, float]) -> str:
    return f"x {spread['median']:.1f} ({spread['min']:.1f} – {spread['max']:.1f})"
