"""Pictures of the evaluation, as PNG bytes, on a light or a dark ground."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lightning_modules.evaluation.calibration import CalibrationBin
from lightning_modules.evaluation.drawing import LIGHT, Theme, drawing, png
from lightning_modules.evaluation.metrics import Counts
from lightning_modules.evaluation.mistakes import most_confused

NAMED_CLASSES = 20  # up to here every class has its name and its counts in the picture
DETAILED_CLASSES = 15  # beyond, so many of the most confused classes have
VALIDATED = {"val_macro_f1": "macro F1", "val_f1": "F1", "val_exact_match": "exact match"}  # what a history may hold


def confusion_picture(labels: Sequence[str], counts: Counts, theme: Theme = LIGHT) -> bytes:
    """Rows of each true class by predicted class, coloured by their share of the true class.

    Beyond `NAMED_CLASSES` classes: the whole matrix without names, and the named counts of the most confused classes.
    """
    with drawing(theme):
        if len(labels) <= NAMED_CLASSES:
            side = 2.6 + 0.52 * len(labels)
            figure = Figure(figsize=(side + 0.6, side), layout="constrained")
            _named_confusion(figure.add_subplot(), labels, counts, np.arange(len(labels)), theme)
            return png(figure)
        chosen = most_confused(counts, DETAILED_CLASSES)
        figure = Figure(figsize=(11, 21) if len(chosen) else (11, 10.5), layout="constrained")
        axes = figure.subplots(2 if len(chosen) else 1, 1, squeeze=False)[:, 0]
        _whole_confusion(axes[0], counts, theme)
        if len(chosen):
            _named_confusion(axes[1], labels, counts, chosen, theme)
            axes[1].set_title(f"The {len(chosen)} classes with most errors, rows")
        return png(figure)


def calibration_picture(bins: Sequence[CalibrationBin | None], theme: Theme = LIGHT) -> bytes:
    """How often the top answer is right against its score, above the number of rows at each score."""
    width = 1 / len(bins)
    centres = (np.arange(len(bins)) + 0.5) * width
    filled = [b for b in bins if b]
    with drawing(theme):
        figure = Figure(figsize=(6.4, 5.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], color=theme.text, linewidth=1, linestyle=(0, (4, 4)), label="perfectly calibrated")
        upper.bar(centres, [b.accuracy if b else 0 for b in bins], width * 0.9, color=theme.accent, alpha=0.3)
        confidence, accuracy = [b.confidence for b in filled], [b.accuracy for b in filled]
        upper.plot(confidence, accuracy, color=theme.accent, marker="o", linewidth=0, label="this model", clip_on=False)
        upper.set(ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1))
        upper.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
        lower.bar(centres, [b.rows if b else 0 for b in bins], width * 0.9, color=theme.accent)
        lower.set(xlabel="score of the top answer", ylabel="rows")
        lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        return png(figure)


def history_picture(history: Sequence[Mapping[str, Any]], theme: Theme = LIGHT) -> bytes:
    """Losses and validation figures over the steps, or over the epochs where not every row has its step."""
    unit = "step" if all(row.get("step") is not None for row in history) else "epoch"
    with drawing(theme):
        figure = Figure(figsize=(9.6, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        _curve(left, history, unit, "train_loss", "training", color=theme.accent, marker="")
        _curve(left, history, unit, "val_loss", "validation", color=theme.second, marker="o")
        for (key, label), colour in zip(VALIDATED.items(), (theme.second, theme.second, theme.accent), strict=True):
            _curve(right, history, unit, key, label, color=colour, marker="o")
        left.set(ylabel="loss", ylim=(0, None))
        right.set(ylabel="on validation", ylim=(None, 1.0))
        for axes in (left, right):
            axes.set_xlabel(unit)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.grid(axis="y", color=theme.faint, linewidth=0.7)
            if axes.lines:
                axes.legend(loc="best", frameon=False)
        return png(figure)


def _named_confusion(
    axes: Axes, labels: Sequence[str], counts: Counts, chosen: NDArray[np.int64], theme: Theme
) -> None:
    shares = _shares(counts)[np.ix_(chosen, chosen)]
    names = [_shortened(labels[i]) for i in chosen]
    axes.imshow(shares, cmap=_colours(theme), norm=PowerNorm(0.6, 0, 1))
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true")
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=theme.faint, linewidth=0.6)
    axes.tick_params(which="both", length=0)
    for (i, j), rows in np.ndenumerate(counts[np.ix_(chosen, chosen)]):
        if rows:
            strong = shares[i, j] > 0.35
            axes.text(j, i, f"{rows}", ha="center", va="center", color=theme.ground if strong else theme.text)


def _whole_confusion(axes: Axes, counts: Counts, theme: Theme) -> None:
    axes.imshow(_shares(counts), cmap=_colours(theme), norm=PowerNorm(0.4, 0, 1), interpolation="nearest")
    axes.set(xlabel="predicted", ylabel="true", title=f"All {len(counts)} classes, share of the true class")
    axes.set_xticks([])
    axes.set_yticks([])


def _curve(axes: Axes, history: Sequence[Mapping[str, Any]], unit: str, key: str, label: str, **style: Any) -> None:
    """Draws the rows that have the figure; a lone point gets a marker, or it could not be seen."""
    rows = [row for row in history if row.get(key) is not None]
    if not rows:
        return
    if len(rows) == 1:
        style["marker"] = "o"
    figures = [row[key] for row in rows]
    axes.plot([row[unit] for row in rows], figures, label=label, linewidth=1.6, markersize=5, **style)


def _shares(counts: Counts) -> Any:
    """Counts as shares of their true class, 0 where the class has no rows."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _shortened(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"


def _colours(theme: Theme) -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("share", theme.scale)
