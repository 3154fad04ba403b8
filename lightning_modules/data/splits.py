"""Split off the training rows what a user gave no file for: validation and test."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lightning_modules.errors import UserError

SPLITS = ("train", "val", "test")


@dataclass
class Split:
    """Rows for training, validation or test, memory-mapped.

    Args:
        path: the file, or the data set's name and its split there.
        dropped: number of rows left out, by their problem.
        repaired: questions with a corrected answer_start.
    """

    path: Path
    rows: Dataset
    dropped: Counter[str] = field(default_factory=Counter)
    repaired: int = 0

    def parted(self, taken: NDArray[np.bool_]) -> tuple["Split", "Split"]:
        """Return the rows not taken, with all counts, and the rows taken."""
        return (
            replace(self, rows=self.rows.select(np.flatnonzero(~taken))),
            Split(self.path, self.rows.select(np.flatnonzero(taken))),
        )


def with_missing_splits(
    splits: Mapping[str, Split], shares: Mapping[str, float], split_off: Callable[[Split, float], tuple[Split, Split]]
) -> dict[str, Split]:
    """Return `splits`, and add those of `shares` that it lacks; a share refers to all training rows as given.

    Args:
        split_off: `split_off(split, share)` returns the rows that remain, and a share taken from them.

    Raises:
        UserError: a share is not between 0 and the part that the other shares leave.
    """
    full, remaining = dict(splits), 1.0
    for name, share in shares.items():
        if name not in full:
            if not 0 < share < remaining:
                raise UserError(f"data.{name}_share is {share}: give one between 0 and {remaining:g}")
            full["train"], full[name] = split_off(full["train"], share / remaining)
            remaining -= share
    return full


def allotted(counts: Sequence[int], share: float, generator: np.random.Generator) -> NDArray[Any]:
    """Return how many of each to take, by largest remainder: `share` of all together; one of each at least stays.

    Of equal remainders, those that come first are drawn by `generator`.
    """
    sizes = np.asarray(counts)
    quotas = sizes * share
    taken = np.floor(quotas + 1e-9).astype(int)
    drawn = generator.permutation(len(sizes))
    order = drawn[np.argsort((taken - quotas)[drawn].round(9), kind="stable")]
    rising = order[taken[order] < sizes[order] - 1]
    taken[rising[: round(quotas.sum()) - taken.sum()]] += 1
    return taken


def whole_groups(groups: NDArray[Any], share: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask of the rows to take: groups in random order while they fit into the share, or else the smallest.

    No more than twice the share of all groups is taken: where one group has almost all rows, it would be every other.
    """
    names, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    room = min(round(len(groups) * share), len(groups) - 1)
    max_groups = ceil(2 * share * len(names))
    taken = np.zeros(len(names), dtype=bool)
    for group in generator.permutation(len(names)):
        if sizes[group] <= room and taken.sum() < max_groups:
            taken[group] = True
            room -= sizes[group]
    if not taken.any():
        taken[sizes.argmin()] = True
    return taken[places]


def joined_groups(titles: Iterable[str], contexts: Sequence[str]) -> NDArray[Any]:
    """Number the rows by group: rows with the same title (unless it is empty) or the same context are in one.

    Where that joins all rows, only those with the same context are.
    """
    by_context = numbered(contexts)
    by_title = numbered(title or context for title, context in zip(titles, contexts, strict=True))
    nodes = int(by_title.max() + by_context.max()) + 2
    edges = (np.ones(len(by_title)), (by_title, by_context + by_title.max() + 1))
    count, groups = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    return by_context if count == 1 else groups[by_title]


def numbered(names: Iterable[str]) -> NDArray[Any]:
    """Return each name's rank among the different ones: in an array of strings, one long name would widen all."""
    numbers: dict[str, int] = {}
    rows = np.array([numbers.setdefault(name, len(numbers)) for name in names])
    ranks = {name: rank for rank, name in enumerate(sorted(numbers))}
    return np.array([ranks[name] for name in numbers])[rows]
