"""Test which rows make a batch."""

from types import SimpleNamespace
from typing import Any

import torch
from torch.utils.data import DistributedSampler

from lightning_modules.data.batching import LengthGroupedSampler, ResumableLoader, pad, training_loader


def test_padding_is_masked() -> None:
    ids, mask = pad([[5, 6, 7], [8]])
    assert torch.equal(ids, torch.tensor([[5, 6, 7], [8, 0, 0]]))
    assert torch.equal(mask, torch.tensor([[1, 1, 1], [1, 0, 0]]))


def test_the_sampler_covers_every_row_and_depends_on_the_epoch_alone() -> None:
    lengths = [i % 17 for i in range(1000)]
    order = {epoch: list(LengthGroupedSampler(lengths, 8, 0, lambda e=epoch: e)) for epoch in (0, 1)}
    assert sorted(order[0]) == sorted(order[1]) == list(range(1000))
    assert order[0] != order[1]
    assert order[0] == list(LengthGroupedSampler(lengths, 8, 0, lambda: 0))


def test_the_sampler_puts_similar_lengths_together() -> None:
    lengths = [i % 50 for i in range(1000)]
    order = list(LengthGroupedSampler(lengths, 10, 0, lambda: 0))
    spreads = [
        max(lengths[i] for i in order[s : s + 10]) - min(lengths[i] for i in order[s : s + 10])
        for s in range(0, 1000, 10)
    ]
    assert sum(spreads) / len(spreads) < 5


def test_no_batch_consists_of_copies_of_some_rows() -> None:
    """Repeat 24 rows of different lengths ten times."""
    order = list(LengthGroupedSampler(range(24), 8, 0, lambda: 0, passes=10))
    assert [len(set(order[i : i + 8])) for i in range(0, 240, 8)] == [8] * 30


def test_a_small_number_of_rows_gets_other_batches_in_each_epoch() -> None:
    lengths = [i * 7 % 100 for i in range(100)]
    epochs = [list(LengthGroupedSampler(lengths, 10, 0, lambda e=epoch: e)) for epoch in (0, 1)]
    batches = [{frozenset(order[i : i + 10]) for i in range(0, 100, 10)} for order in epochs]
    assert not batches[0] & batches[1]


def loader_of(device: int, lengths: list[int]) -> ResumableLoader:
    """Return the loader of one of two devices, with batches of four on each."""
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=0))))
    trainer = SimpleNamespace(
        world_size=2, global_rank=device, current_epoch=0, accumulate_grad_batches=1, fit_loop=loop
    )
    data: Any = SimpleNamespace(trainer=trainer)
    rows: Any = list(range(len(lengths)))
    return training_loader(data, rows, lengths, 4, 0, collate=lambda rows: {"rows": torch.tensor(rows)})


def test_each_of_two_devices_gets_half_of_each_batch_of_similar_lengths() -> None:
    lengths = [i * 37 % 256 for i in range(256)]
    loaders = [loader_of(device, lengths) for device in (0, 1)]
    # Lightning would wrap any other sampler, and shuffle.
    assert all(isinstance(loader.sampler, DistributedSampler) for loader in loaders)
    batches_of_devices = [[batch["rows"].tolist() for batch in loader] for loader in loaders]
    assert sorted(row for batches in batches_of_devices for batch in batches for row in batch) == list(range(256))
    together = [sorted(lengths[row] for row in one + other) for one, other in zip(*batches_of_devices, strict=True)]
    assert sum(batch[-1] - batch[0] for batch in together) / len(together) < 256 / 8
