"""How figures are written for people."""

from __future__ import annotations


def rate(requests_per_second: float) -> str:
    """Three digits or more, so that slow servers can be compared too."""
    return f"{requests_per_second:.0f}" if requests_per_second >= 99.95 else f"{requests_per_second:.1f}"
