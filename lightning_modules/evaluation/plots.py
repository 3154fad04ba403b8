"""Draw the pictures of an evaluation, as PNG bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lightning_modules.evaluation.calibration import CalibrationBin
from lightning_modules.evaluation.classification_metrics import Counts, most_confused
from lightning_modules.evaluation.drawing import ACCENT, FAINT, GROUND, SECOND, SHARES, TEXT, drawing, png

NAMED_CLASSES = 20  # up to here the picture names every class
DETAILED_CLASSES = 15  # of more classes, it names so many of the most confused ones
# Labels of the metrics that a history may have.
VALIDATED = {
    "val_macro_f1": "macro F1",
    "val_f1": "F1",
    "val_exact_match": "exact match",
}
COLOURS = LinearSegmentedColormap.from_list("share", SHARES)
BAR = 0.38  # height of a bar, as a share of its group's

Groups = Mapping[str, Mapping[str, float]]


def confusion_picture(labels: Sequence[str], counts: Counts) -> bytes:
    """Draw the rows of each true class by predicted class, coloured by their share of the true class.

    Beyond `NAMED_CLASSES` classes, draw the whole matrix without names, and the most confused classes with theirs.
    """
    with drawing():
        if len(labels) <= NAMED_CLASSES:
            side = 2.6 + 0.52 * len(labels)
            figure = Figure(figsize=(side + 0.6, side), layout="constrained")
            _named_confusion(figure.add_subplot(), labels, counts, np.arange(len(labels)))
            return png(figure)
        chosen = most_confused(counts, DETAILED_CLASSES)
        figure = Figure(figsize=(11, 21) if len(chosen) else (11, 10.5), layout="constrained")
        axes = figure.subplots(2 if len(chosen) else 1, 1, squeeze=False)[:, 0]
        _whole_confusion(axes[0], counts)
        if len(chosen):
            _named_confusion(axes[1], labels, counts, chosen)
            axes[1].set_title(f"The {len(chosen)} classes with most errors, rows")
        return png(figure)


def calibration_picture(bins: Sequence[CalibrationBin | None]) -> bytes:
    """Draw how often the top answer is right against its score, above the number of rows at each score."""
    width = 1 / len(bins)
    centres = (np.arange(len(bins)) + 0.5) * width
    filled = [b for b in bins if b]
    with drawing():
        figure = Figure(figsize=(6.4, 5.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], color=TEXT, linewidth=1, linestyle=(0, (4, 4)), label="perfectly calibrated")
        upper.bar(centres, [b.accuracy if b else 0 for b in bins], width * 0.9, color=ACCENT, alpha=0.3)
        confidence, accuracy = [b.confidence for b in filled], [b.accuracy for b in filled]
        upper.plot(confidence, accuracy, color=ACCENT, marker="o", linewidth=0, label="this model", clip_on=False)
        upper.set(ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1))
        upper.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
        lower.bar(centres, [b.rows if b else 0 for b in bins], width * 0.9, color=ACCENT)
        lower.set(xlabel="score of the top answer", ylabel="rows")
        lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        return png(figure)


def history_picture(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw losses and validation metrics over the steps, or over the epochs if not every row has its step."""
    unit = "step" if all(row.get("step") is not None for row in history) else "epoch"
    with drawing():
        figure = Figure(figsize=(9.6, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        _curve(left, history, unit, "train_loss", "training", color=ACCENT, marker="")
        _curve(left, history, unit, "val_loss", "validation", color=SECOND, marker="o")
        for (key, label), colour in zip(VALIDATED.items(), (SECOND, SECOND, ACCENT), strict=True):
            _curve(right, history, unit, key, label, color=colour, marker="o")
        left.set(ylabel="loss", ylim=(0, None))
        right.set(ylabel="on validation", ylim=(None, 1.0))
        for axes in (left, right):
            axes.set_xlabel(unit)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.grid(axis="y", color=FAINT, linewidth=0.7)
            if axes.lines:
                axes.legend(loc="best", frameon=False)
        return png(figure)


def breakdown_picture(by: Mapping[str, Groups]) -> bytes:
    """Draw F1 and exact match in per cent of each group of questions, one panel per grouping; see `qa_metrics`."""
    with drawing():
        figure = Figure(figsize=(11, 1.5 + 0.5 * max(len(groups) for groups in by.values())), layout="constrained")
        panels = figure.subplots(1, len(by), squeeze=False)[0]
        for axes, (name, groups) in zip(panels, by.items(), strict=True):
            _bars(axes, groups)
            axes.set_title(name.replace("_", " "))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
        return png(figure)


def _named_confusion(axes: Axes, labels: Sequence[str], counts: Counts, chosen: NDArray[np.int64]) -> None:
    shares = _shares(counts)[np.ix_(chosen, chosen)]
    names = [_shortened(labels[i]) for i in chosen]
    axes.imshow(shares, cmap=COLOURS, norm=PowerNorm(0.6, 0, 1))
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true")
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=FAINT, linewidth=0.6)
    axes.tick_params(which="both", length=0)
    for (i, j), rows in np.ndenumerate(counts[np.ix_(chosen, chosen)]):
        if rows:
            strong = shares[i, j] > 0.35
            axes.text(j, i, f"{rows}", ha="center", va="center", color=GROUND if strong else TEXT)


def _whole_confusion(axes: Axes, counts: Counts) -> None:
    axes.imshow(_shares(counts), cmap=COLOURS, norm=PowerNorm(0.4, 0, 1), interpolation="nearest")
    axes.set(xlabel="predicted", ylabel="true", title=f"All {len(counts)} classes, share of the true class")
    axes.set_xticks([])
    axes.set_yticks([])


def _curve(axes: Axes, history: Sequence[Mapping[str, Any]], unit: str, key: str, label: str, **style: Any) -> None:
    """Draw the rows that have the metric; a lone point gets a marker, or it could not be seen."""
    rows = [row for row in history if row.get(key) is not None]
    if not rows:
        return
    if len(rows) == 1:
        style["marker"] = "o"
    values = [row[key] for row in rows]
    axes.plot([row[unit] for row in rows], values, label=label, linewidth=1.6, markersize=5, **style)


def _shares(counts: Counts) -> Any:
    """Return counts as shares of their true class, 0 where the class has no rows."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _shortened(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"


def _bars(axes: Axes, groups: Groups) -> None:
    places = np.arange(len(groups))
    for key, label, side, colour in (("f1", "F1", -1, ACCENT), ("exact_match", "exact match", 1, SECOND)):
        values = [100 * group[key] for group in groups.values()]
        axes.barh(places + side * BAR / 2, values, BAR, color=colour, label=label)
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f"{value:.0f}", (value, place + side * BAR / 2), (3, 0), textcoords="offset points", va="center", size=8
            )
    axes.set_yticks(places, [f"{name}\n({group['questions']:,})" for name, group in groups.items()], size=9)
    axes.invert_yaxis()
    axes.set(xlim=(0, 109), xticks=range(0, 101, 25), xlabel="per cent")
    axes.grid(axis="x", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
