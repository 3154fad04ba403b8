"""Logits to probabilities and to the best classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities over the last axis, [rows, classes] -> [rows, classes]."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def top_k(probabilities: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Column numbers of the `k` highest probabilities, highest first, [rows, classes] -> [rows, min(k, classes)].

    Equal probabilities keep the order of their columns.
    """
    return np.argsort(-probabilities, axis=-1, kind="stable")[:, :k]
