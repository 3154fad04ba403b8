"""An ONNX model that turns rows of token ids into logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handlers.text.packing import pack

Logits = dict[str, NDArray[np.float32]]
TokenLogits = dict[str, list[NDArray[np.float32]]]
EMPTY = np.empty(0, np.float32)


class OnnxModel:
    """An ONNX Runtime session on the CPU with inputs `input_ids` and `attention_mask`, int64 [rows, tokens]."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A worker that waits must not burn the core of its neighbour.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self._session.get_outputs()]

    def run(self, rows: Sequence[Sequence[int]], budget: int, max_rows: int) -> tuple[Logits, int]:
        """Outputs [rows, classes] by name, in the order of `rows`, and the tokens run, padding included."""
        logits: Logits = {}
        padded_tokens = 0
        for batch, size, outputs in self._batches(rows, budget, max_rows):
            padded_tokens += size
            for name, values in zip(self.outputs, outputs, strict=True):
                if name not in logits:
                    logits[name] = np.empty((len(rows), values.shape[1]), np.float32)
                logits[name][batch] = values
        return logits, padded_tokens

    def run_tokens(self, rows: Sequence[Sequence[int]], budget: int, max_rows: int) -> tuple[TokenLogits, int]:
        """The same for outputs [rows, tokens]: of each row [its tokens], without those of its padding."""
        logits: TokenLogits = {name: [EMPTY] * len(rows) for name in self.outputs}
        padded_tokens = 0
        for batch, size, outputs in self._batches(rows, budget, max_rows):
            padded_tokens += size
            for name, values in zip(self.outputs, outputs, strict=True):
                for i, of_row in zip(batch, values, strict=True):
                    logits[name][i] = of_row[: len(rows[i])]
        return logits, padded_tokens

    def _batches(
        self, rows: Sequence[Sequence[int]], budget: int, max_rows: int
    ) -> Iterator[tuple[list[int], int, list[NDArray[np.float32]]]]:
        """Of each micro-batch the row numbers, the tokens with padding, and the outputs in the order of `outputs`."""
        for batch in pack([len(row) for row in rows], budget, max_rows):
            ids, mask = pad([rows[i] for i in batch])
            yield batch, ids.size, self._session.run(self.outputs, {"input_ids": ids, "attention_mask": mask})


def pad(rows: Sequence[Sequence[int]], width: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids and attention mask, int64 [rows, longest or `width`]; padding is id 0 with mask 0."""
    width = max(width, *map(len, rows))
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask
