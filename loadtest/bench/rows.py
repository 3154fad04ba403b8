"""The rows of a table of figures, whatever it is written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.bench.numbers import rate
from loadtest.bench.setups import BUNDLE
from loadtest.generator import busy


@dataclass(frozen=True)
class Row:
    """Medians; in brackets the lowest and the highest repeat.

    `share` is of the bound; `ratio` the bundle's requests/s to the set-up's, each at its most clients.
    """

    setup: str
    clients: str
    requests_per_second: str
    share: str
    ratio: str = ""
    p50: str = ""
    p95: str = ""
    p99: str = ""
    generator_cores: str = ""
    wrong: str = ""


def title(model: str, kind: str, figures: Mapping[str, Any]) -> str:
    """What was sent."""
    work = figures["work"]
    return (
        f"{model}, {kind} texts: {work['requests']} requests of {work['rows'] / work['requests']:.1f} rows, "
        f"{work['tokens'] / work['rows']:.0f} tokens a row; medians of the repeats (lowest – highest)"
    )


def rows(figures: Mapping[str, Any]) -> Iterator[Row]:
    """Of one kind of texts; the bound comes first."""
    ratios = figures["ratios"][f"{BUNDLE} to"]
    bound = figures["bound"]["requests_per_second"]
    yield Row("bound: the model alone, no server", "", rates(bound), "100 %")
    for setup, by_clients in figures["setups"].items():
        for clients, entry in by_clients.items():
            speed = entry["requests_per_second"]
            most = setup in ratios and clients == list(by_clients)[-1]
            yield Row(
                setup,
                clients,
                rates(speed),
                f"{100 * speed['median'] / bound['median']:.0f} %",
                _ratios(ratios[setup]) if most else "",
                p50=f"{entry['p50']['median']:.1f}",
                p95=f"{entry['p95']['median']:.1f}",
                p99=f"{entry['p99']['median']:.1f}",
                generator_cores=f"{entry['generator_cores']['median']:.2f}",
                wrong=str(entry["failures"]),
            )


def failures(figures: Mapping[str, Any]) -> int:
    """Wrong answers to one kind of texts, from all set-ups."""
    return sum(entry["failures"] for by_clients in figures["setups"].values() for entry in by_clients.values())


def faults(figures: Mapping[str, Any]) -> list[str]:
    """Which figures of one kind of texts may be the load generator's own, and why."""
    return [
        f"{setup}, {clients} clients: {reason}"
        for setup, by_clients in figures["setups"].items()
        for clients, entry in by_clients.items()
        if (reason := busy(entry["generator_cores"]["max"]))
    ]


def rates(spread: Mapping[str, float]) -> str:
    """Requests/s, with the range."""
    return f"{rate(spread['median'])} ({rate(spread['min'])} – {rate(spread['max'])})"


def _ratios(spread: Mapping[str, float]) -> str:
    return f"x {spread['median']:.1f} ({spread['min']:.1f} – {spread['max']:.1f})"
