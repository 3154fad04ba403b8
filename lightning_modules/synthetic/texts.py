"""Write generated labelled texts as CSV files, the same for every generator of them."""

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from lightning_modules.labels import fold
from lightning_modules.text_files import write_if_changed


class SyntheticTexts(ABC):
    """Settings of one generator; its files have a column `text` and the columns named here."""

    label_column: ClassVar[str]
    complexity_column: ClassVar[str | None] = None

    @abstractmethod
    def write(self) -> dict[str, str]:
        """Write the files and return their paths by split."""


def write_splits(folder: Path, splits: Mapping[str, Sequence[object]], columns: Sequence[str]) -> dict[str, str]:
    """Write the attributes `columns` of each split's rows as CSV (UTF-8, LF), and return the paths by split."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {split: folder / f"{split}.csv" for split in splits}
    for split, rows in splits.items():
        write_if_changed(paths[split], _csv([columns, *([getattr(row, name) for name in columns] for row in rows)]))
    return {split: str(path) for split, path in paths.items()}


def is_new(text: str, seen: set[str]) -> bool:
    """Tell whether a text differs from all in `seen` by more than case and spacing, and add it to them."""
    key = fold(text)
    if key in seen:
        return False
    seen.add(key)
    return True


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
