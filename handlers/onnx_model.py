"""An ONNX model that turns rows of token ids into logits, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import onnxruntime

from handlers.base_model import Batch, Model, pad
from handlers.text.packing import Limits, pack


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
