"""Pictures of the evaluation of question answering, as PNG bytes, on a light or a dark ground."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lightning_modules.evaluation.drawing import LIGHT, Theme, drawing, png

Groups = Mapping[str, Mapping[str, float]]
BAR = 0.38  # of the height that a group has


def breakdown_picture(by: Mapping[str, Groups], theme: Theme = LIGHT) -> bytes:
    """F1 and exact match in per cent of each group of questions, one panel a grouping; see `qa_metrics`."""
    with drawing(theme):
        figure = Figure(figsize=(11, 1.5 + 0.5 * max(len(groups) for groups in by.values())), layout="constrained")
        panels = figure.subplots(1, len(by), squeeze=False)[0]
        for axes, (name, groups) in zip(panels, by.items(), strict=True):
            _bars(axes, groups, theme)
            axes.set_title(name.replace("_", " "))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
        return png(figure)


def _bars(axes: Axes, groups: Groups, theme: Theme) -> None:
    places = np.arange(len(groups))
    for key, label, side, colour in (("f1", "F1", -1, theme.accent), ("exact_match", "exact match", 1, theme.second)):
        values = [100 * group[key] for group in groups.values()]
        axes.barh(places + side * BAR / 2, values, BAR, color=colour, label=label)
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f"{value:.0f}", (value, place + side * BAR / 2), (3, 0), textcoords="offset points", va="center", size=8
            )
    axes.set_yticks(places, [f"{name}\n({group['questions']:,})" for name, group in groups.items()], size=9)
    axes.invert_yaxis()
    axes.set(xlim=(0, 109), xticks=range(0, 101, 25), xlabel="per cent")
    axes.grid(axis="x", color=theme.faint, linewidth=0.7)
    axes.set_axisbelow(True)
