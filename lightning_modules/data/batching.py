"""Make batches of similar lengths, padded to their own longest row."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from handlers.model import pad as pad_rows

# Rows are sorted by length within pools of this many batches, or of half the rows: there is little padding, yet each
# epoch mixes the rows anew, and no batch consists of copies of a few rows that repeat within an epoch.
POOL_BATCHES = 32


class LengthGroupedSampler(Sampler[int]):
    """Shuffle row numbers so that each run of `batch_size` has similar lengths; every row comes `passes` times.

    The order depends on `seed` and `epoch()` alone, so that a resumed run sees the batches of an uninterrupted one.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, epoch: Callable[[], int], passes: int = 1
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.passes = passes
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths) * self.passes

    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng([self.seed, self.epoch()])
        order = np.concatenate([generator.permutation(len(self.lengths)) for _ in range(self.passes)])
        pool = self.batch_size * min(max(len(self.lengths) // (2 * self.batch_size), 1), POOL_BATCHES)
        batches: list[np.ndarray] = []
        for start in range(0, len(order), pool):
            rows = order[start : start + pool]
            rows = rows[np.argsort(self.lengths[rows], kind="stable")]
            batches += [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        # A short batch goes last: cut by batch size again, all others keep their rows together.
        full = [batch for batch in batches if len(batch) == self.batch_size]
        rest = [batch for batch in batches if len(batch) < self.batch_size]
        for i in generator.permutation(len(full)):
            yield from full[i].tolist()
        for batch in rest:
            yield from batch.tolist()


class ResumableLoader(DataLoader[Any]):
    """Begin with the batch of number `start()`: a run that is resumed within an epoch gets the rest of it.

    Args:
        lengths: of the rows of the data set, in tokens.
    """

    def __init__(
        self, dataset: Dataset[Any], *, start: Callable[[], int], lengths: Sequence[int], **settings: Any
    ) -> None:
        super().__init__(dataset, **settings)
        self.start = start
        self.lengths = lengths

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Ask where to start when the first batch is taken: iterators are made before a checkpoint is read."""
        batches = super().__iter__()
        yield from islice(batches, self.start(), None)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the trainer knows the place. That the method is there tells Lightning that one can go on."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Do nothing, see `state_dict`."""


def training_loader(
    data: LightningDataModule,
    rows: Dataset[Any],
    lengths: Sequence[int],
    batch_size: int,
    seed: int,
    collate: Callable[[list[Any]], dict[str, Tensor]],
    min_steps_per_epoch: int = 1,
) -> ResumableLoader:
    """Return batches of similar lengths for the trainer of `data`, `batch_size` rows on each device.

    An epoch goes over all rows as often as `min_steps_per_epoch` of the optimiser take.
    """
    devices = data.trainer.world_size if data.trainer else 1
    accumulated = data.trainer.accumulate_grad_batches if data.trainer else 1
    passes = math.ceil(min_steps_per_epoch * accumulated * batch_size * devices / len(lengths))
    sampler: Sampler[int] = LengthGroupedSampler(
        lengths, batch_size * devices, seed, lambda: data.trainer.current_epoch if data.trainer else 0, passes
    )
    if data.trainer and devices > 1:
        # Rows are dealt out one by one, so that a batch of all devices has similar lengths. Lightning's own way would
        # shuffle them once more.
        sampler = DistributedSamplerWrapper(sampler, num_replicas=devices, rank=data.trainer.global_rank, shuffle=False)
    return ResumableLoader(
        rows,
        start=lambda: batches_done(data),
        lengths=lengths,
        batch_size=batch_size,
        sampler=sampler,
        collate_fn=collate,
        pin_memory=on_cuda(),
    )


def batches_done(data: LightningDataModule) -> int:
    """Return how many batches of the running epoch the trainer of `data` has had; 0 without a trainer."""
    return data.trainer.fit_loop.epoch_loop.batch_progress.current.ready if data.trainer else 0


def similar_lengths(rows: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Yield the numbers of all rows in batches of similar lengths, the shortest first."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def pad(rows: Sequence[Sequence[int]], max_length: int = 0) -> tuple[Tensor, Tensor]:
    """Turn the ids of each row into `input_ids` and `attention_mask`, int64 [rows, tokens]; padding id 0, masked.

    Args:
        max_length: tokens that a row may have; given, the width is rounded up, though not above it: torch keeps
            kernels and buffers for every shape that it has seen, which took 7 GB over the 300 lengths of SQuAD.
    """
    width = min(rounded(max(map(len, rows))), max_length)
    ids, mask = pad_rows(rows, width)
    return torch.from_numpy(ids), torch.from_numpy(mask)


def rounded(length: int) -> int:
    """Return the next of 16 lengths between two powers of two: 3 % more on average, and nothing below 32."""
    step = 1 << max(length.bit_length() - 5, 0)
    return -(-length // step) * step


def on_cuda() -> bool:
    """Return whether batches should lie in memory that a GPU can copy from."""
    return torch.cuda.is_available()
