"""Compare the speed of several forms of one model, fairly on a busy machine.

The forms take turns at every single call, and who starts changes from turn to turn: load from outside, a warming CPU
and cold caches hit all of them alike. Each repeat gives one number for each form; the result is their median.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from lightning_modules.sampling import evenly

# Cost of a timing, wherever forms are compared: rows in batches, how many of them alone, repeats, and the seconds after
# which no further repeat starts.
TIMED_ROWS, LATENCY_ROWS, BATCH_SIZE, REPEATS, SECONDS = 128, 50, 32, 3, 20.0

Rows = list[list[int]]
Run = Callable[[Rows], object]
Seconds = dict[str, list[float]]


@dataclass(frozen=True)
class Speed:
    """Medians over the repeats: the latency of one row a call, in milliseconds; rows a second in full batches."""

    latency_ms_p50: float
    rows_per_second: float


def compare_speed(
    forms: Mapping[str, Run],
    rows: Sequence[list[int]],
    *,
    latency_rows: int = LATENCY_ROWS,
    batch_size: int = BATCH_SIZE,
    repeats: int = REPEATS,
    seconds: float = SECONDS,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, Speed]:
    """Time `forms` on the same rows, one row at a time and in batches.

    Args:
        forms: by name; each takes token ids [rows][tokens], pads them itself and returns when its outputs are there
            (a GPU has to be waited for). They must use the same number of threads.
        rows: token ids; batches are of consecutive rows.
        latency_rows: how many rows, spread evenly over `rows`, are timed one by one.
        repeats: how often all is timed, after one batch and one row of each form that are not timed.
        seconds: no further repeat starts after this time; the first always runs to its end.
        clock: time in seconds, rising.

    Raises:
        ValueError: there are no forms or no rows, or a number is below 1.
    """
    if not forms or not rows:
        raise ValueError(f"speed needs at least one form and one row, but got {len(forms)} and {len(rows)}")
    if min(latency_rows, batch_size, repeats) < 1:
        raise ValueError(f"must be at least 1: latency_rows {latency_rows}, batch_size {batch_size}, repeats {repeats}")
    singles = [[rows[i]] for i in evenly(len(rows), latency_rows)]
    batches = [list(rows[i : i + batch_size]) for i in range(0, len(rows), batch_size)]
    for run in forms.values():
        run(batches[0])
        run(singles[0])
    latencies: list[Seconds] = []
    throughputs: list[Seconds] = []
    end = clock() + seconds
    while len(latencies) < repeats and (not latencies or clock() < end):
        latencies.append(_take_turns(forms, singles, clock))
        throughputs.append(_take_turns(forms, batches, clock))
    return {
        name: _summary([repeat[name] for repeat in latencies], [repeat[name] for repeat in throughputs], len(rows))
        for name in forms
    }


def _take_turns(forms: Mapping[str, Run], calls: Sequence[Rows], clock: Callable[[], float]) -> Seconds:
    """Return the seconds of each call, by form; every call goes to all forms before the next one does."""
    taken: Seconds = {name: [] for name in forms}
    for turn, call in enumerate(calls):
        for name in _rotated(list(forms), turn):
            start = clock()
            forms[name](call)
            taken[name].append(clock() - start)
    return taken


def _rotated(names: list[str], turn: int) -> Iterator[str]:
    first = turn % len(names)
    yield from names[first:]
    yield from names[:first]


def _summary(latencies: list[list[float]], throughputs: list[list[float]], rows: int) -> Speed:
    p50 = np.median([np.median(repeat) * 1000 for repeat in latencies])
    rate = np.median([rows / sum(repeat) for repeat in throughputs])
    return Speed(float(p50), float(rate))
