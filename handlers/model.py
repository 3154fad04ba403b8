"""What the models of all runtimes share: rows of token ids run in micro-batches, the logits back in the rows' order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handlers.text.packing import Limits, pack

Logits = dict[str, NDArray[np.float32]]
TokenLogits = dict[str, list[NDArray[np.float32]]]
# Of one micro-batch: row numbers, tokens with padding, outputs by name.
Batch = tuple[list[int], int, Mapping[str, NDArray[np.float32]]]
EMPTY = np.empty(0, np.float32)


class Model(ABC):
    """A subclass runs micro-batches within the limits."""

    def run(self, rows: Sequence[Sequence[int]], limits: Limits) -> tuple[Logits, int]:
        """Outputs [rows, classes] by name, in the order of `rows`, and the tokens run, padding included."""
        logits: Logits = {}
        padded_tokens = 0
        for batch, size, outputs in self._batches(rows, limits):
            padded_tokens += size
            for name, values in outputs.items():
                if name not in logits:
                    logits[name] = np.empty((len(rows), values.shape[1]), np.float32)
                logits[name][batch] = values
        return logits, padded_tokens

    def run_tokens(self, rows: Sequence[Sequence[int]], limits: Limits) -> tuple[TokenLogits, int]:
        """The same for outputs [rows, tokens]: of each row [its tokens], without those of its padding."""
        logits: TokenLogits = {}
        padded_tokens = 0
        for batch, size, outputs in self._batches(rows, limits):
            padded_tokens += size
            for name, values in outputs.items():
                of_rows = logits.setdefault(name, [EMPTY] * len(rows))
                for i, of_row in zip(batch, values, strict=True):
                    of_rows[i] = of_row[: len(rows[i])]
        return logits, padded_tokens

    def require_alive(self) -> None:  # noqa: B027 - on a CPU there is nothing to do
        """Called after a failure: ends the process where the model can run no more."""

    @abstractmethod
    def _batches(self, rows: Sequence[Sequence[int]], limits: Limits) -> Iterable[Batch]:
        """Every row in one micro-batch."""


def pad(rows: Sequence[Sequence[int]], width: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids and attention mask, int64 [rows, longest or `width`]; padding is id 0 with mask 0."""
    width = max(width, *map(len, rows))
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


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

    def _batches(self, rows: Sequence[Sequence[int]], limits: Limits) -> Iterator[Batch]:
        for batch in pack([len(row) for row in rows], limits):
            ids, mask = pad([rows[i] for i in batch])
            outputs = self._session.run(self._outputs, {"input_ids": ids, "attention_mask": mask})
            yield batch, ids.size, dict(zip(self._outputs, outputs, strict=True))
