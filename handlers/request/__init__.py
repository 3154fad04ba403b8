"""A request of any task: one instance, or several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Instance = TypeVar("Instance")


@dataclass(frozen=True)
class Request(Generic[Instance]):
    """`many` is true where the answer goes out as `predictions`, one for each instance."""

    instances: list[Instance]
    many: bool
