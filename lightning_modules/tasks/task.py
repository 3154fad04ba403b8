"""What evaluation and export have to know of a task: one subclass a task, made from a trained model and its data."""

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

Row = dict[str, Any]
# Of each row, by output name: [classes], or [tokens] without those of padding.
Outputs = Mapping[str, Sequence[NDArray[np.float32]]]


class Task(ABC):
    """`network` answers `rows`, the token ids of the test part."""

    # `task` of metadata.json
    kind: ClassVar[str]
    # What the gate may ask for, with the names of `Gate`.
    gated: ClassVar[tuple[str, ...]]
    pipeline: ClassVar[type[Pipeline[Any, Any, Any]]]

    network: Network
    rows: list[list[int]]
    tokenizer_json: str

    @abstractmethod
    def __init__(self, model: Any, data: Any) -> None:
        """Of a trained model and the data module that it was trained on."""

    @abstractmethod
    def calibrate(self, run: Callable[[list[list[int]]], Outputs]) -> None:
        """Fits on the validation part what turns logits into scores; `run` gives the outputs of rows of token ids."""

    @property
    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the task adds to metadata.json."""

    @abstractmethod
    def write_files(self, folder: Path) -> None:
        """Files of the exported folder that are the task's own."""

    @abstractmethod
    def requests(self) -> Sequence[dict[str, Any]]:
        """Test rows as clients would send them."""

    @abstractmethod
    def figures(self, outputs: Outputs) -> dict[str, float]:
        """Those of `gated`, on all test rows."""

    def checked(self, limit: int) -> list[int]:
        """Numbers of the rows, `limit` at most, on which forms are compared: of all the part, which may be sorted."""
        return evenly(len(self.rows), limit)

    @abstractmethod
    def quality(self, outputs: Outputs, reference: Outputs, rows: Sequence[int]) -> Row:
        """Figures of one form on the rows of these numbers, and its agreement with torch's."""

    @abstractmethod
    def missed_int8(self, int8: Row, torch: Row, settings: Export) -> list[str]:
        """One sentence for each bound that the INT8 form misses; `quality` of both."""

    @abstractmethod
    def report(self, folder: Path, name: str, outputs: Outputs, extras: Mapping[str, Any]) -> None:
        """Writes the evaluation's figures, pictures and page."""


def missed_by_few(loss: float, bound: float, rows: int) -> bool:
    """Whether a share of the rows is above its bound. On few rows a single one can be: one is always accepted."""
    return loss > max(bound, 1.5 / rows) + 1e-9
