"""Rows of different lengths into micro-batches with little padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Of one micro-batch: `tokens` with padding (rows x longest row), `rows`, and tokens of `padding`.

    Padding that costs more than another run of the model does is not worth it.
    """

    tokens: int
    rows: int
    padding: int


def pack(lengths: Sequence[int], limits: Limits) -> list[list[int]]:
    """Row numbers in micro-batches, sorted by length, every row exactly once.

    A row that is longer than the limit of tokens is a micro-batch of its own.
    """
    batches: list[list[int]] = []
    current: list[int] = []
    tokens = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Sorted by length: the row that comes is the longest of its micro-batch.
        padded = (len(current) + 1) * lengths[row]
        tokens += lengths[row]
        if current and (len(current) == limits.rows or padded > limits.tokens or padded - tokens > limits.padding):
            batches.append(current)
            current, tokens = [], lengths[row]
        current.append(row)
    if current:
        batches.append(current)
    return batches
