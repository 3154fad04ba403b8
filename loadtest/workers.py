"""What the workers of a run have sent to their master."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from loadtest.recording import Recording, unpacked


@dataclass
class Reports:
    """`late` and `cores` are as `Generator` has them, an entry a message and an entry a worker."""

    late: list[np.ndarray] = field(default_factory=list)
    cores: dict[str, float] = field(default_factory=dict)
    _recordings: list[tuple[str, Recording]] = field(default_factory=list)
    _behind: dict[str, float] = field(default_factory=dict)

    def add(self, worker: str, message: Mapping[str, Any], now: float) -> None:
        """A message as it comes, `now` by the master's clock."""
        self._recordings.append((worker, unpacked(message)))
        self.late.append(np.frombuffer(message["probes"]))
        self.cores[worker] = message["cores"]
        # The way of a message adds to what the clocks differ by: the fastest one adds least.
        self._behind[worker] = min(now - message["now"], self._behind.get(worker, inf))

    def recordings(self) -> list[Recording]:
        """By the master's clock."""
        return [recording.shifted(self._behind[worker]) for worker, recording in self._recordings]
