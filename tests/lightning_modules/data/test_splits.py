"""Test which rows a split must not separate."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.data.splits import allotted, joined_groups, whole_groups


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.floats(0.01, 0.99))
def test_the_share_is_allotted_as_evenly_as_whole_numbers_can(counts: list[int], share: float) -> None:
    taken = allotted(counts, share, np.random.default_rng(0))
    sizes = np.array(counts)
    assert (taken >= 0).all()
    assert (taken < sizes).all()
    assert (np.abs(taken - sizes * share) < 1 + 1e-6).all()
    if (sizes * share).sum() <= (sizes - 1).sum() and min(counts) * (1 - share) >= 1:
        assert taken.sum() == round((sizes * share).sum())


def test_titles_that_share_a_context_are_one_group() -> None:
    titles = ["b", "a", "b", "c", "d", "c"]
    contexts = ["1", "2", "3", "3", "4", "5"]
    groups = joined_groups(titles, contexts).tolist()
    assert groups[0] == groups[2] == groups[3] == groups[5]
    assert len({groups[0], groups[1], groups[4]}) == 3


def test_groups_do_not_depend_on_the_order_of_the_rows() -> None:
    rows = [("c", "1"), ("a", "2"), ("b", "3"), ("a", "4")]
    groups = {row: int(group) for row, group in zip(rows, joined_groups(*zip(*rows, strict=True)), strict=True)}
    turned = rows[::-1]
    assert groups == dict(zip(turned, joined_groups(*zip(*turned, strict=True)).tolist(), strict=True))


def test_where_all_titles_are_connected_contexts_are_groups() -> None:
    assert joined_groups(["", "", ""], ["x", "y", "x"]).tolist() == [0, 1, 0]
    assert joined_groups(["a", "b", "b"], ["x", "x", "y"]).tolist() == [0, 0, 1]


def test_one_long_context_does_not_make_all_others_as_large() -> None:
    titles = [""] * 200
    contexts = ["x" * 200_000, *map(str, range(199))]
    tracemalloc.start()
    joined_groups(titles, contexts)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000  # a fixed width would take 160 MB


@pytest.mark.parametrize("sizes", [[90, *[1] * 10], [960, *[10] * 4], [30, 30, 30, *[1] * 10], [40, 30, 20, 6, 4]])
def test_a_share_of_groups_of_unlike_sizes_leaves_small_ones_too(sizes: list[int]) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    taken = [set(groups[whole_groups(groups, 0.1, np.random.default_rng(seed))]) for seed in range(20)]
    small = {i for i, size in enumerate(sizes) if size < max(sizes)}
    assert all(0 < len(one & small) < len(small) for one in taken)
    assert len(set(map(frozenset, taken))) > 1
