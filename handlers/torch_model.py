"""Run a network of torch.export on a GPU. Only a worker with a GPU imports this: importing torch takes seconds."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass

from handlers.model import Limits, MicroBatch, Model, Rows, pack, pad

logger = logging.getLogger(__name__)
# Limits of a micro-batch: a GPU is only busy with far more than what a core's cache holds, and no padding makes it wait
# as long as another run.
LIMITS = Limits(tokens=16384, rows=512, padding=16384)
# Widths are multiples of this: tensor cores want them so, and the allocator meets the same shapes again.
STEP = 8
# Seconds that micro-batches stay smaller after the memory was full: another process may have taken it for a while.
SMALLER_SECONDS = 60.0


def device_of(gpu: int) -> str | None:
    """Return torch's name of the GPU that TorchServe numbers so; None where torch cannot use it."""
    return f"cuda:{gpu}" if torch.cuda.is_available() and gpu < torch.cuda.device_count() else None


def free_memory() -> None:
    """Give back to other processes what no tensor holds, where CUDA works."""
    with contextlib.suppress(RuntimeError):
        torch.cuda.empty_cache()


class TorchModel(Model):
    """A program with inputs `input_ids` and `attention_mask`, int64 [rows, tokens], and its outputs in a dict by name.

    Args:
        path: as `torch.export.save` wrote it.
        device: torch's name, `cuda:0`.
        max_length: tokens of a row, at most; no row is padded beyond it.
    """

    def __init__(self, path: Path, device: str, max_length: int) -> None:
        self._device = torch.device(device)
        self._network = move_to_device_pass(torch.export.load(path), device).module()
        self._max_length = max_length
        self._max_tokens = math.inf
        self._smaller_until = 0.0

    def _micro_batches(self, rows: Rows, limits: Limits) -> Iterator[MicroBatch]:
        """Run every row in one micro-batch; those that do not fit into the memory are halved.

        Raises `torch.OutOfMemoryError` where a single row does not fit.
        """
        if monotonic() > self._smaller_until:
            self._max_tokens = math.inf
        widths = [min(-(-len(row) // STEP) * STEP, self._max_length) for row in rows]
        waiting = pack(widths, replace(limits, tokens=int(min(limits.tokens, self._max_tokens))))
        queued: list[tuple[list[int], int, dict[str, Tensor]]] = []
        while waiting:
            numbers = waiting.pop()  # the longest first: what it leaves free is enough for the others
            width = widths[numbers[-1]]
            outputs = self._queue([rows[i] for i in numbers], width)
            if outputs is None:
                waiting += [numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]]
            else:
                queued.append((numbers, len(numbers) * width, outputs))
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        for numbers, size, outputs in queued:
            yield MicroBatch(numbers, size, {name: values.numpy() for name, values in outputs.items()})

    @torch.inference_mode()
    def _queue(self, rows: Rows, width: int) -> dict[str, Tensor] | None:
        """Queue a run on the device, and return None where it has no memory left.

        The fp32 outputs are in the processor's memory once the device is synchronised.
        """
        try:
            ids, mask = (self._send(torch.from_numpy(values)) for values in pad(rows, width))
            outputs: dict[str, Tensor] = self._network(ids, mask)
            return {name: values.float().to("cpu", non_blocking=True) for name, values in outputs.items()}
        except torch.OutOfMemoryError:
            if len(rows) == 1:
                raise
        # Only here, where the exception no longer holds the tensors.
        self._make_smaller(len(rows), width)
        return None

    def _send(self, values: Tensor) -> Tensor:
        """Copy to the device while the processor goes on, which needs pinned memory."""
        return values.pin_memory().to(self._device, non_blocking=True) if self._device.type == "cuda" else values

    def require_alive(self) -> None:
        """Raise `SystemExit` where an error has ended CUDA in this process: TorchServe then starts another worker."""
        try:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
        except RuntimeError as error:
            raise SystemExit(f"CUDA has failed on {self._device}: {error}") from error

    def _make_smaller(self, rows: int, width: int) -> None:
        free_memory()
        self._smaller_until = monotonic() + SMALLER_SECONDS
        if rows * width // 2 < self._max_tokens:
            self._max_tokens = rows * width // 2
            logger.warning(
                "WARNING: %d rows of %d tokens do not fit into the memory of %s: half as many run at once for %g s",
                *(rows, width, self._device, SMALLER_SECONDS),
            )
