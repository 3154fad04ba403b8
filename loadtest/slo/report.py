"""Reports a search: the verdict in words and as exit code, and a page, JSON and CSV of the rates tried."""

from __future__ import annotations

import csv
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from loadtest.confidence import CONFIDENCE
from loadtest.errors import INVALID
from loadtest.report import write_json
from loadtest.report.page import write_page
from loadtest.report.pictures import COLOURS, SIZE, above, plain_numbers, png
from loadtest.slo.point import Point
from loadtest.slo.search import Search
from loadtest.workload import Workload

MARKS = {"kept": "o", "missed": "X", "not shown": "s", "not valid": "P"}


def conclude(workload: Workload, search: Search, scenarios: Mapping[str, Any], arguments: Namespace) -> int:
    """Print the result, write slo.html, slo.json and points.csv, and return the exit code."""
    best, out = search.best, arguments.out
    result = {
        "model": "+".join(workload.models),
        "p99_bound": arguments.p99,
        "confidence": CONFIDENCE,
        "requests_per_second": best.rate if best else None,
        "valid": not search.limited_by_generator,
        "best": asdict(best) if best else None,
        "min_rps": arguments.min_rps,
        "scenarios": scenarios,
        "points": [asdict(point) for point in search.points],
    }
    write_json(out / "slo.json", result)
    _write_csv(search.points, out / "points.csv")
    measured = any(point.p99 is not None for point in search.points)
    drawn = [("Latency by rate, ms", png(partial(_latency, search.points, arguments.p99)))] if measured else []
    template = Path(__file__).with_name("slo.html.j2")
    write_page(out / "slo.html", template, result=result, pictures=drawn, url=workload.target.url)
    print(f"report: {out / 'slo.html'}, {out / 'slo.json'}")
    if best:
        print(
            f"{best.rate:.1f} requests/s keep p99 within {arguments.p99:g} ms: {best.slow} of {best.requests} were "
            f"slower; with {CONFIDENCE:.0%} confidence no more than {best.slow_at_most:.2%} are"
        )
    if search.limited_by_generator:
        why = next(point.why for point in reversed(search.points) if point.verdict == "not valid")
        print(f"not valid: {'a higher rate' if best else 'a rate'} could not be tried: {why}")
        return INVALID
    if best is None:
        print(f"failed: no rate keeps p99 within {arguments.p99:g} ms without a failure")
        return 1
    if arguments.min_rps and best.rate < arguments.min_rps:
        print(f"failed: requests/s: {best.rate:.1f}, the limit is {arguments.min_rps:g}")
        return 1
    return 0


def _write_csv(points: Sequence[Point], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(points[0])))
        writer.writeheader()
        writer.writerows(map(asdict, points))


def _latency(points: Sequence[Point], limit: float) -> Figure:
    figure = Figure(figsize=SIZE)
    axis = figure.subplots()
    measured = sorted(
        (point.rate, point.p50, point.p99, point.verdict)
        for point in points
        if point.p50 is not None and point.p99 is not None
    )
    rates = [rate for rate, *_ in measured]
    axis.plot(rates, [p50 for _, p50, *_ in measured], color=COLOURS[2], label="p50")
    axis.plot(rates, [p99 for _, _, p99, _ in measured], color=COLOURS[0], label="p99")
    for verdict, mark in MARKS.items():
        chosen = [(rate, p99) for rate, _, p99, name in measured if name == verdict]
        if chosen:
            axis.plot(*zip(*chosen, strict=True), linestyle="", marker=mark, color=COLOURS[0], label=verdict)
    axis.axhline(limit, color=COLOURS[1], linestyle="--", label="limit")
    axis.set_yscale("log")
    plain_numbers(axis.yaxis)
    axis.set_xlabel("requests/s")
    above(axis)
    return figure
