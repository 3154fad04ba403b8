"""The ground that pictures are drawn on, light and dark: colours, fonts, PNG."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Theme:
    """`lines` are the colours of curves, one after the other."""

    ground: str
    text: str
    faint: str
    lines: tuple[str, ...]


LIGHT = Theme("#ffffff", "#1d2530", "#d5dae1", ("#2563a8", "#c2571a", "#1f7a45", "#8a3ffc"))
DARK = Theme("#171b21", "#dfe4ea", "#3a424d", ("#6aaaf0", "#f0985a", "#5ec48a", "#be95ff"))

Picture = dict[str, str]  # a PNG in base64 by ground


def picture(draw: Callable[[Theme], Figure]) -> Picture:
    """The same figure on both grounds."""
    return {name: _png(draw, theme) for name, theme in (("light", LIGHT), ("dark", DARK))}


def _png(draw: Callable[[Theme], Figure], theme: Theme) -> str:
    settings: dict[Any, Any] = {
        "font.size": 11.0,
        "axes.titlesize": 12.0,
        "text.color": theme.text,
        "axes.labelcolor": theme.text,
        "axes.edgecolor": theme.faint,
        "axes.facecolor": theme.ground,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": theme.faint,
        "grid.linewidth": 0.5,
        "figure.facecolor": theme.ground,
        "figure.constrained_layout.use": True,
        "legend.frameon": False,
        "xtick.color": theme.text,
        "ytick.color": theme.text,
        "savefig.facecolor": theme.ground,
    }
    buffer = BytesIO()
    with rc_context(settings):
        draw(theme).savefig(buffer, format="png", dpi=110)
    return b64encode(buffer.getvalue()).decode("ascii")
