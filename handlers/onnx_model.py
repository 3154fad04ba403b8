"""An ONNX model that turns rows of token ids into logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handlers.text.packing import pack

Logits = dict[str, NDArray[np.float32]]


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
        """Each output by name, [rows, classes] in the order of `rows`, and the tokens run, padding included."""
        lengths = [len(row) for row in rows]
        logits: Logits = {}
        padded_tokens = 0
        for batch in pack(lengths, budget, max_rows):
            ids, mask = pad([rows[i] for i in batch])
            padded_tokens += ids.size
            outputs = self._session.run(self.outputs, {"input_ids": ids, "attention_mask": mask})
            for name, values in zip(self.outputs, outputs, strict=True):
                if name not in logits:
                    logits[name] = np.empty((len(rows), values.shape[1]), np.float32)
                logits[name][batch] = values
        return logits, padded_tokens


def pad(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids and attention mask, int64 [rows, longest]; padding is id 0 with mask 0."""
    longest = max(map(len, rows))
    ids = np.zeros((len(rows), longest), np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask
