"""Choose rows that represent all of them."""

import numpy as np


def evenly(count: int, limit: int) -> list[int]:
    """Return at most `limit` numbers below `count`, evenly spread."""
    numbers: list[int] = np.linspace(0, count - 1, min(limit, count), dtype=int).tolist()
    return numbers
