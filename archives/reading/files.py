"""Open a user's data file by its ending, parse JSON, and describe what is wrong with a file or its rows."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

SHOWN = 5  # bad rows listed in an error


class DataError(Exception):
    """A data file cannot be used; the message names the file and the rows, and says what to do."""


class BadRow(Exception):
    """A row that cannot be used; the message says why. It is yielded or raised in place of the row."""


class Checked(Protocol):
    """A row with its place in the file, and the problem that makes it unusable ("" if there is none)."""

    @property
    def place(self) -> str: ...

    @property
    def problem(self) -> str: ...


CheckedRow = TypeVar("CheckedRow", bound=Checked)


def known_ending(path: Path, endings: Collection[str]) -> str:
    """Return the ending of the file's name in lower case, such as `.json`, without any `.gz`.

    Raises:
        DataError: there is no such file, or the ending is not one of `endings`.
    """
    if not path.is_file():
        raise DataError(f"data file {path} {'is not a file' if path.exists() else 'does not exist'}")
    ending = next((suffix for suffix in reversed(path.suffixes) if suffix.lower() != ".gz"), "").lower()
    if ending not in endings:
        raise DataError(f"{path}: unknown format {ending!r}, expected one of {', '.join(endings)}, or these with .gz")
    return ending


def open_text(path: Path, newline: str | None = None) -> IO[str]:
    """Open the file as UTF-8, with or without a byte order mark, and decompress it if it is gzipped.

    Bytes that are not UTF-8 become lone surrogates, so that one bad row does not cost the others.
    """
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def open_bytes(path: Path) -> IO[bytes]:
    """Open the file as bytes, and decompress it if it is gzipped."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def json_lines(path: Path) -> Iterator[Any]:
    """Yield the value of each line that is not blank, or a `BadRow` for a line that is not JSON."""
    with open_text(path) as lines:
        yield from (_parsed(line) for line in lines if line.strip())


def json_content(path: Path) -> Any:
    """Return the content of a JSON file, or None if it holds JSON lines, as files of the hub's own writer do."""
    with open_text(path) as file:
        try:
            return json.load(file)
        except json.JSONDecodeError as error:
            if error.msg != "Extra data":
                raise
            return None


@contextmanager
def naming(path: Path, ending: str) -> Iterator[None]:
    """Turn the errors of a format's reader into a `DataError` that names the file."""
    try:
        yield
    except (csv.Error, zlib.error, ValueError, OSError, EOFError, RecursionError) as error:
        cause = (str(error).strip() or "there is nothing in it").splitlines()[0]
        raise DataError(f"{path} cannot be read as {ending[1:]}: {cause}") from error


def require_arrow(path: Path) -> Any:
    """Return the module that reads Parquet.

    Raises:
        DataError: pyarrow is not installed.
    """
    try:
        from archives.reading import arrow
    except ImportError as error:
        raise DataError(f"{path}: reading Parquet needs pyarrow: pip install pyarrow") from error
    return arrow


def refusal(path: Path, bad: Sequence[tuple[str, str]], advice: str) -> DataError:
    """Return an error that lists the first bad rows by place and problem, and counts the others."""
    listed = "; ".join(f"{place}: {problem}" for place, problem in bad[:SHOWN])
    more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return DataError(f"{path}: {listed}{more}. {advice}")


def all_good(path: Path, rows: Iterator[CheckedRow], rows_are: str = "rows") -> list[CheckedRow]:
    """Return all rows of a file, provided that none is bad.

    Raises:
        DataError: there are bad rows, which the message lists, or there are no rows.
    """
    checked = list(rows)
    if bad := [(row.place, row.problem) for row in checked if row.problem]:
        raise refusal(path, bad, "Correct or remove them")
    if not checked:
        raise DataError(f"{path} has no {rows_are}")
    return checked


def encodable(text: str) -> bool:
    """Return False for text with a lone surrogate: bytes that were not UTF-8, or half of a pair in JSON."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return BadRow("not JSON")
