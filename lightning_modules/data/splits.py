"""Parts that a user gave no file for, split off the training part."""

from collections.abc import Callable, Mapping
from typing import TypeVar

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
