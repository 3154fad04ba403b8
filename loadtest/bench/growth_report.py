"""Growth as tables and as a picture of four panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from loadtest.bench.environment import machine
from loadtest.bench.report import curve
from loadtest.bench.rows import rates
from loadtest.generator import busy

LABELS = {
    "workers": "workers",
    "clients": "clients",
    "tokens": "tokens of a text or context",
    "models": "models served at once",
}
COLUMNS = ("requests/s", "p50 ms", "p99 ms", "generator cores", "all workers, MiB", "wrong")

CURVES = (("requests_per_second", "requests/s", "C0", "-"), ("p99", "p99, ms", "C1", "--"))


def table(name: str, entries: Sequence[Mapping[str, Any]]) -> Table:
    """One sweep. Memory is proportional (pss) where the system tells it, else resident."""
    grid = Table()
    for column in (LABELS[name], *COLUMNS):
        grid.add_column(column, justify="right", no_wrap=True)
    for entry in entries:
        memory = entry["memory_mib"]
        grid.add_row(
            str(entry[name]),
            rates(entry["requests_per_second"]),
            f"{entry['p50']['median']:.1f}",
            f"{entry['p99']['median']:.1f}",
            f"{entry['generator_cores']['median']:.2f}",
            f"{memory['workers']} x {memory.get('pss', memory['rss']) / memory['workers']:.0f}",
            str(entry["failures"]),
        )
    return grid


def faults(growth: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Which figures may be the load generator's own, and why."""
    return [
        f"{entry[name]} {LABELS[name]}: {reason}"
        for name, entries in growth.items()
        for entry in entries
        if (reason := busy(entry["generator_cores"]["max"]))
    ]


def draw(content: Mapping[str, Any], path: Path) -> None:
    """A panel a sweep: requests/s on the left, p99 on the right; writes a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(12, 8))
    for axis, (name, entries) in zip(axes.flat, content["growth"].items(), strict=True):
        places, sides = range(len(entries)), (axis, axis.twinx())
        axis.set_xticks(places, [str(entry[name]) for entry in entries])
        axis.set_xlabel(LABELS[name])
        for side, (figure_of, label, color, line) in zip(sides, CURVES, strict=True):
            spreads = [entry[figure_of] for entry in entries]
            curve(side, places, spreads, color=color, linestyle=line)
            side.set_ylim(0, 1.1 * max((spread["max"] for spread in spreads), default=1))
            side.set_ylabel(label, color=color)
    figure.suptitle(f"{content['model']}: {machine(content['environment'])}", fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
