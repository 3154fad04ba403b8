"""Rows of different lengths into micro-batches with little padding."""

from __future__ import annotations

from collections.abc import Sequence


def pack(lengths: Sequence[int], budget: int, max_rows: int) -> list[list[int]]:
    """Row numbers in micro-batches, sorted by length, every row exactly once.

    A micro-batch has at most `max_rows` rows, and its padded tokens (rows x longest row) stay within `budget`; a row
    that is longer than the budget is a micro-batch of its own.
    """
    batches: list[list[int]] = []
    current: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Sorted by length: the row that comes is the longest of its micro-batch.
        if current and (len(current) == max_rows or (len(current) + 1) * lengths[row] > budget):
            batches.append(current)
            current = []
        current.append(row)
    if current:
        batches.append(current)
    return batches
