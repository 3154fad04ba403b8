"""What two sets of labels do not have in common, in words."""

from collections.abc import Collection

NAMED = 5  # labels in a message


def label_difference(one: str, labels: Collection[str], other: str, others: Collection[str]) -> str:
    """The labels that only one side has, under the sides' names; empty where there are none."""
    sides = ((one, set(labels) - set(others)), (other, set(others) - set(labels)))
    return "; ".join(f"only {side}: {_some(sorted(only))}" for side, only in sides if only)


def _some(labels: list[str]) -> str:
    more = f" and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
    return ", ".join(labels[:NAMED]) + more
