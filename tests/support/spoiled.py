"""Make models that run but answer wrongly, as INT8 does on a processor or runtime that computes it differently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


def shuffle_weights(model: Path) -> None:
    """Put the rows of every matrix in another order; shapes and names stay the same."""
    _change(model, lambda values: np.roll(values, 1, axis=0) if values.ndim == 2 else values)


def lose_numbers(model: Path) -> None:
    """Turn every floating-point weight into NaN, and so every answer too."""
    _change(model, lambda values: np.full_like(values, np.nan) if values.dtype == np.float32 else values)


def _change(path: Path, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))
    onnx.save(model, path)
