"""The measured figures as a table and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from loadtest.bench.numbers import rate
from loadtest.bench.setups import BUNDLE

COLUMNS = (
    *("set-up", "clients", "requests/s", "of the bound", "bundle to it"),
    *("p50 ms", "p95 ms", "p99 ms", "generator cores", "wrong"),
)


def table(model: str, figures: Mapping[str, Any]) -> Table:
    """Medians; in brackets the lowest and the highest repeat.

    `bundle to it` is the ratio of requests/s, each at its most clients; `wrong` counts answers.
    """
    work, ratios = figures["work"], figures["ratios"][f"{BUNDLE} to"]
    title = (
        f"{model}: {work['requests']} requests of {work['rows'] / work['requests']:.1f} rows, "
        f"{work['tokens'] / work['rows']:.0f} tokens a row; medians of the repeats \\[lowest-highest]"
    )
    grid = Table(title=title, title_justify="left")
    for number, column in enumerate(COLUMNS):
        grid.add_column(column, justify="right" if number else "left", no_wrap=number > 0)
    bound = figures["bound"]["requests_per_second"]
    grid.add_row("bound: the model alone, no server", "", _with_range(bound), "100 %")
    for setup, by_clients in figures["setups"].items():
        for clients, entry in by_clients.items():
            speed = entry["requests_per_second"]
            ratio = ratios[setup]["median"] if setup in ratios and clients == list(by_clients)[-1] else None
            grid.add_row(
                setup,
                clients,
                _with_range(speed),
                f"{speed['median'] / bound['median']:.0%}".replace("%", " %"),
                "" if ratio is None else f"x {ratio:.1f}",
                *(f"{entry[name]['median']:.1f}" for name in ("p50", "p95", "p99")),
                f"{entry['generator_cores']['median']:.2f}",
                str(entry["failures"]),
            )
    return grid


def draw(models: Mapping[str, Any], environment: Mapping[str, Any], path: Path) -> None:
    """One row a model: requests/s and p99 by the number of clients, with ranges; writes a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(len(models), 2, figsize=(11, 4.2 * len(models)), squeeze=False)
    for (rate_axis, latency_axis), (model, figures) in zip(rows, models.items(), strict=True):
        counts = sorted({int(clients) for by_clients in figures["setups"].values() for clients in by_clients})
        for setup, by_clients in figures["setups"].items():
            places = [counts.index(int(clients)) for clients in by_clients]
            for axis, name in ((rate_axis, "requests_per_second"), (latency_axis, "p99")):
                spreads = [entry[name] for entry in by_clients.values()]
                medians = [spread["median"] for spread in spreads]
                below = [spread["median"] - spread["min"] for spread in spreads]
                above = [spread["max"] - spread["median"] for spread in spreads]
                axis.errorbar(places, medians, (below, above), marker="o", capsize=4, label=setup)
                axis.set_xticks(range(len(counts)), [f"{count}" for count in counts])
                axis.set_xlabel("clients")
        rate_axis.axhline(
            figures["bound"]["requests_per_second"]["median"], linestyle="--", color="grey", label="bound, no server"
        )
        rate_axis.set_ylim(bottom=0)
        rate_axis.set_title(f"{model}: requests/s")
        latency_axis.set_yscale("log")
        latency_axis.set_title(f"{model}: p99 latency, ms")
        rate_axis.legend(fontsize="small")
    versions = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    figure.suptitle(f"{environment['processor']}, {environment['cores']} cores; {versions}", fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _with_range(spread: Mapping[str, float]) -> str:
    return f"{rate(spread['median'])} \\[{rate(spread['min'])}-{rate(spread['max'])}]"
