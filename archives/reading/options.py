"""Hold what a user may say about a labelled file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from archives.reading.files import DataError


@dataclass(frozen=True)
class ReadOptions:
    """Names of the columns of a labelled file, and of the command's options that set the first two.

    Args:
        complexity_column: a second, ordinal label; null: none. A file may lack it.
    """

    text_column: str = "text"
    label_column: str = "label"
    complexity_column: str | None = None
    flags: tuple[str, str] = ("--data.text_column", "--data.label_column")

    def all_in(self, available: Collection[str]) -> bool:
        return self.text_column in available and self.label_column in available

    def columns_of(self, path: Path, available: Collection[str]) -> list[str]:
        """Return the columns that are available.

        Raises:
            DataError: the text or the label is not among them.
        """
        for flag, name in zip(self.flags, (self.text_column, self.label_column), strict=True):
            if name not in available:
                names = ", ".join(available).encode(errors="replace").decode()
                raise DataError(f"{path} has no column {name!r}: set {flag} to one of {names}")
        columns = dict.fromkeys((self.text_column, self.label_column, self.complexity_column))
        return [name for name in columns if name and name in available]
