"""Set the colours and fonts of pictures, and turn them into PNG.

The ground is white in both themes of a page: one picture serves both.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

GROUND, TEXT, FAINT = "#ffffff", "#1d2530", "#d5dae1"
ACCENT, SECOND = "#2563a8", "#c2571a"
SHARES = ("#ffffff", "#b9d2ec", "#2f74b5", "#123f70")  # colours of shares from 0 to 1


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with the settings of this project."""
    settings: dict[Any, Any] = {
        "font.size": 11.0,
        "axes.titlesize": 12.0,
        "text.color": TEXT,
        "text.parse_math": False,  # a label may contain dollar signs
        "axes.labelcolor": TEXT,
        "axes.edgecolor": FAINT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": TEXT,
        "ytick.color": TEXT,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the report's tables show every name
        yield


def png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
