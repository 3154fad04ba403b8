"""Parts of generated data, and how a pool of wordings or names is dealt out to them."""

from collections.abc import Sequence
from typing import TypeVar

from lightning_modules.synthetic.draws import Draws

SPLITS = ("train", "val", "test")

T = TypeVar("T")


def deal(items: Sequence[T], held_out: float, draws: Draws) -> dict[str, tuple[T, ...]]:
    """Each item to one split: that share, at least one, to validation, the same to test, the rest to training."""
    shuffled = tuple(draws.shuffled(items))
    count = max(1, round(len(shuffled) * held_out))
    return {"train": shuffled[2 * count :], "val": shuffled[count : 2 * count], "test": shuffled[:count]}


def share(total: int, split: str) -> int:
    """A tenth for validation, a tenth for test, the rest for training."""
    tenth = round(total / 10)
    return total - 2 * tenth if split == "train" else tenth
