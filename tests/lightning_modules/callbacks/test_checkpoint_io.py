"""Checkpoints on a disk that gets full, by the system's own limit on the size of a file."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from lightning_modules.callbacks.checkpoint_io import WholeCheckpointIO


@contextmanager
def full_beyond(size: int) -> Iterator[None]:
    """Meanwhile, no file of this process can grow beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_checkpoint_that_finds_no_room_leaves_the_earlier_one_and_names_its_place(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "best.ckpt"
    WholeCheckpointIO().save_checkpoint({"weights": torch.ones(1000)}, path)
    for elements in (100_000, 30_000):
        with full_beyond(100_000), pytest.raises(OSError) as caught:
            WholeCheckpointIO().save_checkpoint({"weights": torch.zeros(elements)}, path)
        assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert torch.equal(torch.load(path)["weights"], torch.ones(1000))
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_checkpoint_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.ckpt"
    WholeCheckpointIO().save_checkpoint({"epoch": 1}, path)
    before = path.read_bytes()

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        WholeCheckpointIO().save_checkpoint({"epoch": 2}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
