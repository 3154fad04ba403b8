"""Define what evaluation and export ask of a task; each task is one subclass."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handlers.pipelines.base import Pipeline
from lightning_modules.models.network import Network
from lightning_modules.sampling import evenly
from lightning_modules.settings import Export

GOLDEN_REQUESTS = 32  # upper bound for golden.json

Row = dict[str, Any]
# Outputs by name, one array for each row: [classes], or [tokens] without padding.
Outputs = Mapping[str, Sequence[NDArray[np.float32]]]


class Task(ABC):
    """Evaluate and export a trained model on the test part of its data.

    Attributes:
        kind: `task` of metadata.json.
        gate_metrics: names of the metrics that a `Gate` may require.
        pipeline_class: class that serves the model.
        rows: token ids of the test part, [rows][tokens].
        tokenizer_json: text of the tokenizer's file.
    """

    kind: ClassVar[str]
    gate_metrics: ClassVar[tuple[str, ...]]
    pipeline_class: ClassVar[type[Pipeline]]

    network: Network
    rows: list[list[int]]
    tokenizer_json: str

    @abstractmethod
    def __init__(self, model: Any, data: Any) -> None:
        """Take a trained model and the data module that it was trained on."""

    @abstractmethod
    def calibrate(self, run: Callable[[list[list[int]]], Outputs]) -> None:
        """Fit on the validation part what turns logits into scores; `run` returns the outputs of rows of token ids."""

    @property
    @abstractmethod
    def metadata(self) -> dict[str, Any]:
        """The task's part of metadata.json."""

    @abstractmethod
    def files(self) -> dict[str, Any]:
        """Return the task's own JSON files of the exported folder: content by file name."""

    @abstractmethod
    def requests(self) -> Sequence[dict[str, Any]]:
        """Return test rows as clients would send them, to choose golden requests from."""

    @abstractmethod
    def metrics(self, outputs: Outputs) -> dict[str, float]:
        """Return at least `gate_metrics`, on all test rows."""

    def sample(self, limit: int) -> list[int]:
        """Return the numbers of at most `limit` test rows to compare forms on, spread evenly: a file may be sorted."""
        return evenly(len(self.rows), limit)

    @abstractmethod
    def form_metrics(self, outputs: Outputs, reference: Outputs, rows: Sequence[int]) -> Row:
        """Return the metrics of one form, and its agreement with torch's outputs, on the rows of these numbers."""

    @abstractmethod
    def missed_int8(self, int8: Row, torch: Row, settings: Export) -> list[str]:
        """Return one sentence for each limit that INT8 misses; both rows are `form_metrics`."""

    @abstractmethod
    def report(self, folder: Path, name: str, outputs: Outputs, extras: Mapping[str, Any]) -> None:
        """Write metrics, pictures and the page of the evaluation into a folder."""


def exceeds(loss: float, limit: float, rows: int) -> bool:
    """Return whether a share of the rows is above its limit, and more than a single row: few rows cannot tell."""
    return loss > max(limit, 1.5 / rows) + 1e-9
