"""Several calls at once, with their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], at_once: int) -> Iterator[Result]:
    """`function(item)` of each item, in their order, `at_once` of them run at the same time.

    No more than twice as many items are drawn ahead of the results taken. The first error in the order of the items is
    raised when the calls that have begun are over; no other call is begun then.
    """
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) == 2 * at_once:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
