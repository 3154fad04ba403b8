"""The ground that pictures are drawn on: colours, fonts, PNG."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Theme:
    """Colours of a picture; `scale` runs from no rows to all rows."""

    ground: str
    text: str
    faint: str
    accent: str
    second: str
    scale: tuple[str, ...]


LIGHT = Theme("#ffffff", "#1d2530", "#d5dae1", "#2563a8", "#c2571a", ("#ffffff", "#b9d2ec", "#2f74b5", "#123f70"))
DARK = Theme("#171b21", "#dfe4ea", "#3a424d", "#6aaaf0", "#f0985a", ("#171b21", "#1f4368", "#3f86cc", "#a9d2fb"))


@contextmanager
def drawing(theme: Theme) -> Iterator[None]:
    """matplotlib's settings for this theme."""
    settings: dict[Any, Any] = {
        "font.size": 11.0,
        "axes.titlesize": 12.0,
        "text.color": theme.text,
        "text.parse_math": False,  # a label may hold dollar signs
        "axes.labelcolor": theme.text,
        "axes.edgecolor": theme.faint,
        "axes.facecolor": theme.ground,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": theme.ground,
        "xtick.color": theme.text,
        "ytick.color": theme.text,
        "savefig.facecolor": theme.ground,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the report's tables hold every name
        yield


def png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
