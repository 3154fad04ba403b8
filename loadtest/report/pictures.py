"""A run in pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from loadtest.plan import Job
from loadtest.recording import Recording
from loadtest.report.theme import Picture, Theme, picture
from loadtest.timeline import Part

# Points of a cumulative curve; more would not be seen.
POINTS = 2000
WIDTH, HEIGHT = 9.2, 3.6


def pictures(job: Job, recording: Recording, parts: Sequence[Part]) -> Iterator[tuple[str, Picture]]:
    """Each with its title; those of the server only where it was looked at."""
    yield "Requests a second over time", picture(partial(_throughput, parts, job.seconds))
    if any(part.p50 is not None for part in parts):
        yield "Latency over time, ms", picture(partial(_latency, parts))
        yield "Latency of all requests", picture(partial(_cumulative, job, recording))
    if any(part.batch_size is not None for part in parts):
        yield "Batch size and padding over time", picture(partial(_batches, parts))
    if any(part.machine is not None for part in parts):
        yield "Processor and memory over time", picture(partial(_machine, parts))


def _throughput(parts: Sequence[Part], seconds: float, theme: Theme) -> Figure:
    figure, axis = _figure()
    _curve(axis, parts, "asked", theme.lines[1], "sent")
    _curve(axis, parts, "answered", theme.lines[0], "answered rightly")
    if any(part.failures for part in parts):
        begins = [part.second for part in parts]
        widths = np.diff([*begins, seconds])
        rates = np.array([part.failures for part in parts]) / widths
        axis.bar(begins, rates, widths, align="edge", color=theme.lines[3], label="failures")
    axis.set_ylim(bottom=0)
    above(axis)
    return figure


def _latency(parts: Sequence[Part], theme: Theme) -> Figure:
    figure, axis = _figure()
    for name, colour in zip(("p50", "p95", "p99"), theme.lines, strict=False):
        _curve(axis, parts, name, colour, name)
    axis.set_yscale("log")
    plain_numbers(axis.yaxis)
    above(axis)
    return figure


def _cumulative(job: Job, recording: Recording, theme: Theme) -> Figure:
    """By the share of requests that took longer, so that the tail can be read."""
    figure = Figure(figsize=(WIDTH, HEIGHT))
    axis = figure.subplots()
    for number, (model, colour) in enumerate(zip(job.models, theme.lines * len(job.models), strict=False)):
        latencies = np.sort(1000 * recording.latency[recording.right & (recording.model == number)])
        if not len(latencies):
            continue
        places = np.unique(np.geomspace(1, len(latencies), POINTS).astype(int))
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


def _batches(parts: Sequence[Part], theme: Theme) -> Figure:
    figure, axis = _figure()
    _curve(axis, parts, "batch_size", theme.lines[0], "requests in a batch")
    axis.set_ylim(bottom=0)
    other = axis.twinx()
    _curve(other, parts, "padding", theme.lines[1], "padding, share of tokens (right)")
    other.set_ylim(0, 1)
    _one_legend(axis, other)
    return figure


def _machine(parts: Sequence[Part], theme: Theme) -> Figure:
    figure, axis = _figure()
    _curve(axis, parts, "machine", theme.lines[2], "machine busy, share of all cores")
    _curve(axis, parts, "server_cores", theme.lines[0], "server, cores")
    axis.set_ylim(bottom=0)
    if any(part.server_mib is not None for part in parts):
        other = axis.twinx()
        _curve(other, parts, "server_mib", theme.lines[1], "server, resident MiB (right)")
        other.set_ylim(bottom=0)
        _one_legend(axis, other)
    else:
        above(axis)
    return figure


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, HEIGHT))
    axis = figure.subplots()
    axis.set_xlabel("seconds")
    return figure, axis


def _curve(axis: Axes, parts: Sequence[Part], name: str, colour: str, label: str) -> None:
    values = [(part.second, getattr(part, name)) for part in parts]
    known = [(second, value) for second, value in values if value is not None]
    if known:
        axis.plot(*zip(*known, strict=True), color=colour, label=label, marker="." if len(known) < 10 else "")


def _one_legend(axis: Axes, other: Axes) -> None:
    """The second axis' curves in the first one's legend."""
    other.grid(False)
    handles, labels = other.get_legend_handles_labels()
    above(axis, handles, labels)


def above(axis: Axes, handles: Sequence[Artist] = (), labels: Sequence[str] = ()) -> None:
    """A legend that hides no curve; with other entries than the axis' own too."""
    own_handles, own_labels = axis.get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 6, "borderaxespad": 0}
    axis.legend([*own_handles, *handles], [*own_labels, *labels], **place)


def plain_numbers(axis: Axis) -> None:
    """On a logarithmic scale, in place of powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
