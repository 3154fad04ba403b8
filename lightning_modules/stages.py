"""Measure how long each stage of a command takes."""

from collections.abc import Callable
from time import perf_counter


class Stages:
    """Seconds by stage: a stage lasts until the next one begins, and may begin several times."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._stage: str | None = None
        self._since = clock()

    def begin(self, stage: str | None) -> None:
        """End the stage that runs, and begin another, or none."""
        now = self._clock()
        if self._stage is not None:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now

    def end(self) -> str:
        """End the stage that runs, forget all, and return their times: `data 3 s, training 61 s; 64 s in all`."""
        self.begin(None)
        seconds, self.seconds = self.seconds, {}
        times = ", ".join(f"{stage} {duration(taken)}" for stage, taken in seconds.items())
        return f"{times}; {duration(sum(seconds.values()))} in all"


def duration(seconds: float) -> str:
    """Return `48 s`, `3 min 5 s` or `2 h 10 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


STAGES = Stages()  # those of this process
