"""Measures the upper bound of the machine: the model alone, without a server, on every core.

Rows are made, sorted over the whole set, packed and padded ahead; one process a core runs one single-threaded
ONNX Runtime session, as the server's workers do.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import onnxruntime

from handlers.model import pack, pad
from loadtest.bench.archive import handler_settings

Rows = Sequence[Sequence[int]]
LOADING_SECONDS = 120

_start: Barrier


def rows_per_second(folder: Path, rows: Rows, seconds: float, cores: int) -> float:
    """Return how many rows of token ids [rows][tokens] a second an unpacked archive's model runs, again and again."""
    context = get_context("spawn")
    start = context.Barrier(cores)
    with ProcessPoolExecutor(cores, context, _set_barrier, (start,)) as processes:
        runs = [processes.submit(_run, folder, rows, seconds, seed) for seed in range(cores)]
        return sum(run.result() for run in runs)


def _set_barrier(start: Barrier) -> None:
    """Take the barrier: one reaches a process only as it starts."""
    global _start  # noqa: PLW0603
    _start = start


def _run(folder: Path, rows: Rows, seconds: float, seed: int) -> float:
    settings = handler_settings(folder)
    packed = pack([len(row) for row in rows], settings.load_arguments()["limits"])
    batches = [(len(batch), *pad([rows[i] for i in batch])) for batch in packed]
    # In their sorted order, a run that ends within a round would have seen too many short rows.
    random.Random(seed).shuffle(batches)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / settings.model_file, options, providers=["CPUExecutionProvider"])
    for _, ids, mask in batches[:20]:
        session.run(None, {"input_ids": ids, "attention_mask": mask})
    # A process that starts alone would have the whole machine for itself.
    _start.wait(LOADING_SECONDS)
    begin, count = time.perf_counter(), 0
    for size, ids, mask in itertools.cycle(batches):
        session.run(None, {"input_ids": ids, "attention_mask": mask})
        count += size
        if (passed := time.perf_counter() - begin) >= seconds:
            return count / passed
    raise AssertionError("a cycle does not end")
