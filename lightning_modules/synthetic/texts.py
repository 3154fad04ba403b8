"""What the generators of labelled texts share: their settings' shape, and the files that they write."""

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from lightning_modules.labels import fold
from lightning_modules.text_files import write_if_changed


class SyntheticTexts(ABC):
    """Settings of one generator; its files have a column `text` and those named here."""

    label_column: ClassVar[str]
    complexity_column: ClassVar[str | None] = None

    @abstractmethod
    def write(self) -> dict[str, str]:
        """Writes the files and returns their paths by part."""


def write_parts(folder: Path, parts: Mapping[str, Sequence[object]], columns: Sequence[str]) -> dict[str, str]:
    """A CSV file for each part with these attributes of its rows, UTF-8, LF; their paths by part."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {part: folder / f"{part}.csv" for part in parts}
    for part, rows in parts.items():
        write_if_changed(paths[part], _csv([columns, *([getattr(row, name) for name in columns] for row in rows)]))
    return {part: str(path) for part, path in paths.items()}


def is_new(text: str, seen: set[str]) -> bool:
    """Whether a text differs from all before it by more than case and spacing; remembers it."""
    key = fold(text)
    if key in seen:
        return False
    seen.add(key)
    return True


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
