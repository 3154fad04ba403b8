"""Test how rows are packed, and compare the logits of micro-batches with those of one padded run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from hypothesis import given
from hypothesis import strategies as st

from handlers.model import Limits, OnnxModel, pack, pad

ROWS = [[2, *range(4, 4 + length), 3] for length in (9, 1, 5, 20, 3)]


@given(
    lengths=st.lists(st.integers(1, 512), max_size=200),
    limits=st.builds(Limits, st.integers(1, 4096), st.integers(1, 64), st.integers(1, 4096)),
)
def test_packing_loses_no_row_and_observes_the_limits(lengths: list[int], limits: Limits) -> None:
    batches = pack(lengths, limits)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        tokens = len(batch) * max(lengths[row] for row in batch)
        padding = tokens - sum(lengths[row] for row in batch)
        assert len(batch) == 1 or (len(batch) <= limits.rows and tokens <= limits.tokens and padding <= limits.padding)
    in_order = [lengths[row] for batch in batches for row in batch]
    assert in_order == sorted(lengths)


def test_rows_of_one_length_fill_the_micro_batches() -> None:
    assert [len(batch) for batch in pack([10] * 25, Limits(tokens=100, rows=32, padding=1))] == [10, 10, 5]


def test_a_longer_row_joins_as_long_as_its_padding_costs_less_than_a_run() -> None:
    lengths = [4, 5, 6, 9, 30]
    assert pack(lengths, Limits(tokens=256, rows=16, padding=8)) == [[0, 1, 2], [3], [4]]
    assert pack(lengths, Limits(tokens=256, rows=16, padding=12)) == [[0, 1, 2, 3], [4]]


def test_logits_equal_those_of_one_padded_run(tiny_export: Path) -> None:
    logits, padded_tokens = OnnxModel(tiny_export / "model.onnx", 1).run(ROWS, Limits(22, 2, 22))
    ids, mask = pad(ROWS)
    session = onnxruntime.InferenceSession(tiny_export / "model.onnx")
    [expected] = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
    np.testing.assert_allclose(logits["logits"], expected, atol=1e-4)
    assert padded_tokens == 2 * 5 + 2 * 11 + 22


def test_logits_of_tokens_equal_those_of_one_padded_run(tiny_qa_export: Path) -> None:
    logits, padded_tokens = OnnxModel(tiny_qa_export / "model.onnx", 1).run(ROWS, Limits(22, 2, 22), per_token=True)
    ids, mask = pad(ROWS)
    session = onnxruntime.InferenceSession(tiny_qa_export / "model.onnx")
    names = ["start_logits", "end_logits"]
    for name, values in zip(names, session.run(names, {"input_ids": ids, "attention_mask": mask}), strict=True):
        assert logits[name].shape == ids.shape
        np.testing.assert_allclose(logits[name][mask > 0], values[mask > 0], atol=1e-4)
    assert padded_tokens == 2 * 5 + 2 * 11 + 22
