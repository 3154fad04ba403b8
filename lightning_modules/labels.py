"""Compare labels, and texts, as training does."""

from collections.abc import Collection

IGNORED = -100  # target of a row without a complexity; cross_entropy's default ignore_index
NAMED = 5  # labels in a message


def fold(text: str) -> str:
    """Return the text in one case and with single spaces; most models read texts that differ by these as one."""
    return " ".join(text.casefold().split())


def label_difference(one: str, labels: Collection[str], other: str, others: Collection[str]) -> str:
    """Name the labels that only one side has; "" where both have the same."""
    sides = ((one, set(labels) - set(others)), (other, set(others) - set(labels)))
    return "; ".join(f"only {side}: {_some(sorted(only))}" for side, only in sides if only)


def _some(labels: list[str]) -> str:
    more = f" and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
    return ", ".join(labels[:NAMED]) + more
