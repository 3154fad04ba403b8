"""Parts that a user gave no file for, split off the training part."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lightning_modules.errors import UserError

Part = TypeVar("Part")


def with_missing_parts(
    parts: Mapping[str, Part], shares: Mapping[str, float], split_off: Callable[[Part, float], tuple[Part, Part]]
) -> dict[str, Part]:
    """`parts` with those of `shares` that it lacks; each share is of the whole training part as it was given.

    `split_off(part, share)` cuts a share off: what is left, and what was taken.
    """
    full, left = dict(parts), 1.0
    for name, share in shares.items():
        if name not in full:
            if not 0 < share < left:
                raise UserError(f"data.{name}_share is {share}: give one between 0 and {left:g}")
            full["train"], full[name] = split_off(full["train"], share / left)
            left -= share
    return full


def allotted(counts: Sequence[int], share: float, generator: np.random.Generator) -> NDArray[Any]:
    """How many of each to take, by largest remainder: `share` of all together, and one of each at least stays.

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
    """Which rows to take: groups in random order as long as they fit into the share; the smallest where none does.

    Of all groups, twice the share at most: it would be every small one where one group is most of the rows.
    """
    names, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    room = min(round(len(groups) * share), len(groups) - 1)
    most = ceil(2 * share * len(names))
    taken = np.zeros(len(names), dtype=bool)
    for group in generator.permutation(len(names)):
        if sizes[group] <= room and taken.sum() < most:
            taken[group] = True
            room -= sizes[group]
    if not taken.any():
        taken[sizes.argmin()] = True
    return taken[places]


def joined_groups(titles: Iterable[str], contexts: Sequence[str]) -> NDArray[Any]:
    """A group's number for each row: rows with the same title (unless it is empty) or the same context are in one.

    Where that joins all rows, those with the same context are.
    """
    by_context = numbered(contexts)
    by_title = numbered(title or context for title, context in zip(titles, contexts, strict=True))
    nodes = int(by_title.max() + by_context.max()) + 2
    edges = (np.ones(len(by_title)), (by_title, by_context + by_title.max() + 1))
    count, groups = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    return by_context if count == 1 else groups[by_title]


def numbered(names: Iterable[str]) -> NDArray[Any]:
    """Each name's place among the different ones, sorted; as an array of strings, one long name would widen all."""
    numbers: dict[str, int] = {}
    rows = np.array([numbers.setdefault(name, len(numbers)) for name in names])
    ranks = {name: rank for rank, name in enumerate(sorted(numbers))}
    return np.array([ranks[name] for name in numbers])[rows]
