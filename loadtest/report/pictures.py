"""Draws a run: PNG pictures on white, for a page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import BytesIO
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from loadtest.recording import Recording
from loadtest.timeline import Part
from loadtest.workload import Workload

# Points of a cumulative curve; more could not be seen.
MAX_POINTS = 2000
SIZE = (9.2, 3.6)
COLOURS = ("#2563a8", "#c2571a", "#1f7a45", "#8a3ffc")
TEXT, FAINT = "#1d2530", "#d5dae1"
STYLE: dict[Any, Any] = {
    "font.size": 11.0,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
}


def png(draw: Callable[[], Figure]) -> str:
    """Return the figure that `draw` makes as a PNG in base64."""
    buffer = BytesIO()
    with rc_context(STYLE):
        draw().savefig(buffer, format="png", dpi=110)
    return b64encode(buffer.getvalue()).decode("ascii")


def pictures(workload: Workload, recording: Recording, parts: Sequence[Part]) -> Iterator[tuple[str, str]]:
    """Yield each picture's title and PNG; those of the server only if it was watched."""
    yield "Requests a second over time", png(partial(_throughput, parts, workload.seconds))
    if any(part.p50 is not None for part in parts):
        yield "Latency over time, ms", png(partial(_latency, parts))
        yield "Latency of all requests", png(partial(_cumulative, workload.models, recording))
    if any(part.batch_size is not None for part in parts):
        yield "Batch size and padding over time", png(partial(_batches, parts))
    if any(part.machine is not None for part in parts):
        yield "Processor and memory over time", png(partial(_machine, parts))


def _throughput(parts: Sequence[Part], seconds: float) -> Figure:
    figure, axis = _figure()
    _curve(axis, parts, "asked", COLOURS[1], "sent")
    _curve(axis, parts, "answered", COLOURS[0], "answered rightly")
    if any(part.failures for part in parts):
        begins = [part.second for part in parts]
        widths = np.diff([*begins, seconds])
        rates = np.array([part.failures for part in parts]) / widths
        axis.bar(begins, rates, widths, align="edge", color=COLOURS[3], label="failures")
    axis.set_ylim(bottom=0)
    above(axis)
    return figure


def _latency(parts: Sequence[Part]) -> Figure:
    figure, axis = _figure()
    for name, colour in zip(("p50", "p95", "p99"), COLOURS, strict=False):
        _curve(axis, parts, name, colour, name)
    axis.set_yscale("log")
    plain_numbers(axis.yaxis)
    above(axis)
    return figure


def _cumulative(models: Sequence[str], recording: Recording) -> Figure:
    """Draw latencies by the share of requests that took longer, so that the tail can be read."""
    figure = Figure(figsize=SIZE)
    axis = figure.subplots()
    for number, (model, colour) in enumerate(zip(models, cycle(COLOURS), strict=False)):
        latencies = np.sort(1000 * recording.latency[recording.right & (recording.model == number)])
        if not len(latencies):
            continue
        places = np.unique(np.geomspace(1, len(latencies), MAX_POINTS).astype(int))
        axis.plot(latencies[len(latencies) - places], places / len(latencies), color=colour, label=model)
    axis.set_xscale("log")
    plain_numbers(axis.xaxis)
    axis.set_yscale("log")
    axis.set_yticks([1, 0.5, 0.1, 0.05, 0.01, 0.001], ["0 %", "50 %", "90 %", "95 %", "99 %", "99.9 %"])
    axis.set_yticks([], minor=True)
    axis.invert_yaxis()
    axis.set_xlabel("ms")
    axis.set_ylabel("answered within")
    above(axis)
    return figure


def _batches(parts: Sequence[Part]) -> Figure:
    figure, axis = _figure()
    _curve(axis, parts, "batch_size", COLOURS[0], "requests in a batch")
    axis.set_ylim(bottom=0)
    other = axis.twinx()
    _curve(other, parts, "padding", COLOURS[1], "padding, share of tokens (right)")
    other.set_ylim(0, 1)
    _one_legend(axis, other)
    return figure


def _machine(parts: Sequence[Part]) -> Figure:
    figure, axis = _figure()
    _curve(axis, parts, "machine", COLOURS[2], "machine busy, share of all cores")
    _curve(axis, parts, "server_cores", COLOURS[0], "server, cores")
    axis.set_ylim(bottom=0)
    if any(part.server_mib is not None for part in parts):
        other = axis.twinx()
        _curve(other, parts, "server_mib", COLOURS[1], "server, resident MiB (right)")
        other.set_ylim(bottom=0)
        _one_legend(axis, other)
    else:
        above(axis)
    return figure


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE)
    axis = figure.subplots()
    axis.set_xlabel("seconds")
    return figure, axis


def _curve(axis: Axes, parts: Sequence[Part], name: str, colour: str, label: str) -> None:
    values = [(part.second, getattr(part, name)) for part in parts]
    known = [(second, value) for second, value in values if value is not None]
    if known:
        axis.plot(*zip(*known, strict=True), color=colour, label=label, marker="." if len(known) < 10 else "")


def _one_legend(axis: Axes, other: Axes) -> None:
    """Put the curves of both axes into the first one's legend."""
    other.grid(False)
    handles, labels = other.get_legend_handles_labels()
    above(axis, handles, labels)


def above(axis: Axes, handles: Sequence[Artist] = (), labels: Sequence[str] = ()) -> None:
    """Put the axis' legend, with these entries too, above the curves, so that it hides none."""
    first_handles, first_labels = axis.get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 6, "borderaxespad": 0}
    axis.legend([*first_handles, *handles], [*first_labels, *labels], **place)


def plain_numbers(axis: Axis) -> None:
    """Write plain numbers on a logarithmic scale, in place of powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
