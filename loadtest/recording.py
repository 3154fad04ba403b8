"""Records every request of a run exactly: nothing is rounded or counted into buckets."""

from __future__ import annotations

import csv
import gzip
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Type codes of the columns, as the modules array and, with "<" in front, numpy name them.
COLUMNS = {"start": "d", "latency": "d", "lag": "d", "model": "i", "reason": "i"}
RIGHT = 0


@dataclass(frozen=True)
class Recording:
    """The requests of a run, as arrays with an entry for each request, in the order of `start`.

    `start` is the time when the request was due, in seconds from the beginning of the run; `latency` is the time from
    then to its complete answer or its failure, and `lag` the time from then until it was sent. `model` is the number of
    the run's model, and `reason` the index in `reasons` of the failure, 0 if there was none.
    """

    start: np.ndarray
    latency: np.ndarray
    lag: np.ndarray
    model: np.ndarray
    reason: np.ndarray
    reasons: Sequence[str]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def right(self) -> np.ndarray:
        """True for each request that got the right answer."""
        return self.reason == RIGHT

    @property
    def done(self) -> np.ndarray:
        """When each answer was complete, in seconds from the beginning of the run."""
        return self.start + self.latency

    def where(self, chosen: np.ndarray) -> Recording:
        columns = {name: getattr(self, name)[chosen] for name in COLUMNS}
        return Recording(**columns, reasons=self.reasons)

    def between(self, begin: float, end: float) -> Recording:
        """Return the requests that were to be sent from `begin` up to `end`."""
        return self.where((self.start >= begin) & (self.start < end))

    def shifted(self, seconds: float) -> Recording:
        """Return the same requests with their starts moved by some seconds."""
        columns = {name: getattr(self, name) for name in COLUMNS}
        return Recording(**columns | {"start": self.start + seconds}, reasons=self.reasons)

    def errors(self) -> dict[str, int]:
        """Return how often each thing went wrong."""
        counts = np.bincount(self.reason, minlength=len(self.reasons))
        return {self.reasons[i]: int(counts[i]) for i in range(len(self.reasons)) if i != RIGHT and counts[i]}

    def packed(self) -> dict[str, Any]:
        """Return a message of plain bytes for another process or machine; `unpacked` reads it."""
        columns = {name: getattr(self, name).astype(f"<{code}").tobytes() for name, code in COLUMNS.items()}
        return columns | {"reasons": list(self.reasons)}

    def write_csv(self, path: Path, models: Sequence[str]) -> None:
        """Write a line a request, gzipped, in milliseconds."""
        with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["intended_s", "latency_ms", "late_ms", "model", "error"])
            for start, latency, lag, model, reason in zip(*(getattr(self, name) for name in COLUMNS), strict=True):
                row = [f"{start:.6f}", f"{1000 * latency:.3f}", f"{1000 * lag:.3f}"]
                writer.writerow([*row, models[model], self.reasons[reason]])


class Recorder:
    """Collects requests as they end."""

    def __init__(self) -> None:
        self._columns: dict[str, array[Any]] = {name: array(code) for name, code in COLUMNS.items()}
        self._reasons = {"": RIGHT}

    def add(self, start: float, latency: float, lag: float, model: int, reason: str | None) -> None:
        """Add a request with the values of a `Recording`; `reason` None where nothing was wrong."""
        columns = self._columns
        columns["start"].append(start)
        columns["latency"].append(latency)
        columns["lag"].append(lag)
        columns["model"].append(model)
        columns["reason"].append(RIGHT if reason is None else self._reasons.setdefault(reason, len(self._reasons)))

    def recording(self) -> Recording:
        columns = {name: np.array(column) for name, column in self._columns.items()}
        return _ordered(Recording(**columns, reasons=list(self._reasons)))


def unpacked(message: Mapping[str, Any]) -> Recording:
    """Return the recording that `Recording.packed` made a message of."""
    columns = {name: np.frombuffer(message[name], f"<{code}") for name, code in COLUMNS.items()}
    return Recording(**columns, reasons=message["reasons"])


def merged(recordings: Sequence[Recording]) -> Recording:
    """Return the requests of one or more recordings whose models have the same numbers."""
    reasons = list(dict.fromkeys(reason for recording in recordings for reason in recording.reasons))
    columns = {name: np.concatenate([getattr(recording, name) for recording in recordings]) for name in COLUMNS}
    places = [np.array([reasons.index(reason) for reason in one.reasons])[one.reason] for one in recordings]
    return _ordered(Recording(**columns | {"reason": np.concatenate(places)}, reasons=reasons))


def _ordered(recording: Recording) -> Recording:
    return recording.where(np.argsort(recording.start, kind="stable"))
