"""A search for the highest rate in pictures."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from matplotlib.figure import Figure

from loadtest.report.pictures import HEIGHT, WIDTH, above, plain_numbers
from loadtest.report.theme import Picture, Theme, picture
from loadtest.slo.search import Search

MARKS = {"kept": "o", "missed": "X", "not shown": "s", "not valid": "P"}


def pictures(found: Search, bound: float) -> Iterator[tuple[str, Picture]]:
    """The points tried; the bound in milliseconds."""
    if any(point.p99 is not None for point in found.points):
        yield "Latency by rate, ms", picture(partial(_latency, found, bound))


def _latency(found: Search, bound: float, theme: Theme) -> Figure:
    figure = Figure(figsize=(WIDTH, HEIGHT))
    axis = figure.subplots()
    known = sorted(
        (point.rate, point.p50, point.p99, point.verdict)
        for point in found.points
        if point.p50 is not None and point.p99 is not None
    )
    axis.plot([rate for rate, *_ in known], [p50 for _, p50, *_ in known], color=theme.lines[2], label="p50")
    axis.plot([rate for rate, *_ in known], [p99 for *_, p99, _ in known], color=theme.lines[0], label="p99")
    for name, mark in MARKS.items():
        some = [(rate, p99) for rate, _, p99, verdict in known if verdict == name]
        if some:
            axis.plot(*zip(*some, strict=True), linestyle="", marker=mark, color=theme.lines[0], label=name)
    axis.axhline(bound, color=theme.lines[1], linestyle="--", label="bound")
    axis.set_yscale("log")
    plain_numbers(axis.yaxis)
    axis.set_xlabel("requests/s")
    above(axis)
    return figure
