"""Draw seeded choices that come out the same on every Python version, and deal items to the splits.

Only `random.Random.random()` is documented to repeat across versions; `choice`, `sample` and `shuffle` are not,
so they are derived from it here.
"""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

SPLITS = ("train", "val", "test")

T = TypeVar("T")


class Draws:
    """A stream of choices for one purpose, independent of the streams of all other keys."""

    def __init__(self, *key: object) -> None:
        digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
        self._random = random.Random(int.from_bytes(digest, "big")).random

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def between(self, low: int, high: int) -> int:
        """Return an integer from low to high, both included."""
        return low + int(self._random() * (high - low + 1))

    def choice(self, items: Sequence[T]) -> T:
        return items[int(self._random() * len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        keyed = [(self._random(), position) for position in range(len(items))]
        return [items[position] for _, position in sorted(keyed)]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        return self.shuffled(items)[:count]


def deal(items: Sequence[T], held_out: float, draws: Draws) -> dict[str, tuple[T, ...]]:
    """Deal each item to one split: the share `held_out`, at least one item, goes to validation and again to test."""
    shuffled = tuple(draws.shuffled(items))
    count = max(1, round(len(shuffled) * held_out))
    return {"train": shuffled[2 * count :], "val": shuffled[count : 2 * count], "test": shuffled[:count]}


def share(total: int, split: str) -> int:
    """Return how many of `total` rows a split gets: a tenth for validation, a tenth for test, the rest for training."""
    tenth = round(total / 10)
    return total - 2 * tenth if split == "train" else tenth
