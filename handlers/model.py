"""Run rows of token ids through a model, on any runtime, in micro-batches of rows with similar lengths."""

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
    """Limits of a micro-batch: `tokens` including padding (rows x longest row), `rows`, and `padding` tokens.

    More padding than that would cost more than another run of the model.
    """

    tokens: int
    rows: int
    padding: int


class MicroBatch(NamedTuple):
    """Rows that ran together: their numbers, their tokens including padding, and the outputs by name, [rows, …]."""

    numbers: list[int]
    padded_tokens: int
    outputs: Mapping[str, NDArray[np.float32]]


class Model(ABC):
    """A model on some runtime; a subclass for each runtime runs the micro-batches."""

    def run(self, rows: Rows, limits: Limits, *, per_token: bool = False) -> tuple[Logits, int]:
        """Return the logits by output name, in the order of `rows`, and the number of tokens run, padding included.

        Logits are [rows, classes], or with `per_token` [rows, tokens of the longest row], where the values after a
        row's last token are undefined.
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
                # A micro-batch may be narrower than the longest row of all, or padded to be wider than it.
                logits[name][numbers, : values.shape[1]] = values[:, :columns]
        return logits, padded_tokens

    def require_alive(self) -> None:  # noqa: B027 - on a CPU there is nothing to do
        """End the process if a failure has left the model unable to run again."""

    @abstractmethod
    def _micro_batches(self, rows: Rows, limits: Limits) -> Iterable[MicroBatch]:
        """Yield micro-batches within the limits, each row in exactly one."""


class OnnxModel(Model):
    """An ONNX Runtime session on the CPU with inputs `input_ids` and `attention_mask`, int64 [rows, tokens]."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A waiting worker must not take processor time from the others by spinning.
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

    A row longer than the limit of tokens gets a micro-batch of its own.
    """
    batches: list[list[int]] = []
    current: list[int] = []
    tokens = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Rows come sorted by length, so this one would be the longest of its micro-batch.
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
