"""Pictures of a study, as PNG bytes."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lightning_modules.evaluation.drawing import ACCENT, FAINT, SECOND, TEXT, drawing, png


def history_picture(trials: Sequence[Mapping[str, Any]], monitor: str, mode: str) -> bytes:
    """Every trial's value, the best so far as a line, and the last figure of those that were pruned."""
    complete = [(row["number"], row["value"]) for row in trials if row["value"] is not None]
    pruned = [(row["number"], row["validations"][-1]) for row in trials if row["value"] is None and row["validations"]]
    with drawing():
        figure = Figure(figsize=(8.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        numbers, values = zip(*complete, strict=True)
        best = list(accumulate(values, {"max": max, "min": min}[mode]))
        axes.step(numbers, best, where="post", color=SECOND, label="best so far")
        axes.plot(numbers, values, color=ACCENT, marker="o", linewidth=0, label="complete")
        if pruned:
            axes.plot(*zip(*pruned, strict=True), color=ACCENT, marker="x", linewidth=0, label="pruned")
        axes.set(xlabel="trial", ylabel=monitor)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.grid(axis="y", color=FAINT, linewidth=0.7)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
        return png(figure)


def importance_picture(importances: Mapping[str, float]) -> bytes:
    """How much each parameter decides over good and bad trials, as shares of 1."""
    names = sorted(importances, key=lambda name: importances[name])
    with drawing():
        figure = Figure(figsize=(8.4, 1.4 + 0.45 * len(names)), layout="constrained")
        axes = figure.add_subplot()
        bars = axes.barh(names, [importances[name] for name in names], color=ACCENT)
        axes.bar_label(bars, fmt="%.2f", padding=4, color=TEXT)
        axes.set(xlabel="importance (PED-ANOVA)", xlim=(0, 1.1))
        return png(figure)
