"""Run rows of token ids through a model in micro-batches of similar lengths, whatever its runtime."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Rows = Sequence[Sequence[int]]
Logits = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Limits:
    """Limits of one micro-batch: `tokens` with padding (rows x longest row), `rows`, and tokens of `padding`.

    Padding that costs more than another run of the model does is not worth it.
    """

    tokens: int
    rows: int
    padding: int


class MicroBatch(NamedTuple):
    """Rows that ran together: their numbers, their tokens with padding, and the outputs by name, [rows, …]."""

    numbers: list[int]
    padded_tokens: int
    outputs: Mapping[str, NDArray[np.float32]]


class Model(ABC):
    """A subclass runs micro-batches within the limits."""

    def run(self, rows: Rows, limits: Limits, *, per_token: bool = False) -> tuple[Logits, int]:
        """Return the logits by output name, in the order of `rows`, and the tokens run for them, padding included.

        Logits are [rows, classes], or with `per_token` [rows, tokens of the longest row]: what stands behind a row's
        last token is undefined.
        """
        logits: Logits = {}
        padded_tokens = 0
        longest = max(map(len, rows), default=0)
        for numbers, size, outputs in self._micro_batches(rows, limits):
            padded_tokens += size
            for name, values in outputs.items():
                columns = longest if per_token else values.shape[1]
                if name not in logits:
                    logits[name] = np.empty((len(rows), columns), np.float32)
                # The rows of a micro-batch may be shorter than the longest of all, and padded to more than it has.
                logits[name][numbers, : values.shape[1]] = values[:, :columns]
        return logits, padded_tokens

    def require_alive(self) -> None:  # noqa: B027 - on a CPU there is nothing to do
        """End the process where a failure has left the model unable to run at all."""

    @abstractmethod
    def _micro_batches(self, rows: Rows, limits: Limits) -> Iterable[MicroBatch]:
        """Run every row in one micro-batch."""


class OnnxModel(Model):
    """An ONNX Runtime session on the CPU with inputs `input_ids` and `attention_mask`, int64 [rows, tokens]."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A worker that waits must not burn the core of its neighbour.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def _micro_batches(self, rows: Rows, limits: Limits) -> Iterator[MicroBatch]:
        for numbers in pack([len(row) for row in rows], limits):
            ids, mask = pad([rows[i] for i in numbers])
            outputs = self._session.run(self._outputs, {"input_ids": ids, "attention_mask": mask})
            yield MicroBatch(numbers, ids.size, dict(zip(self._outputs, outputs, strict=True)))


def pack(lengths: Sequence[int], limits: Limits) -> list[list[int]]:
    """Return the row numbers in micro-batches, sorted by length, every row exactly once.

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


def pad(rows: Rows, width: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return token ids and attention mask, int64 [rows, longest or `width`]; padding is id 0 with mask 0."""
    width = max(width, *map(len, rows))
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask
