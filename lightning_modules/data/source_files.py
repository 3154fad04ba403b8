"""What the readers of labelled texts and of questions share: which files they know, their text, their JSON."""

import gzip
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

from lightning_modules.errors import UserError


class BadRow(Exception):
    """Says what is wrong with one row; stands in its place where that is found before its values are read."""


def known_ending(path: Path, endings: Collection[str]) -> str:
    """The ending of an existing file's name, such as `.json`, before any `.gz`."""
    if not path.is_file():
        raise UserError(f"data file {path} {'is not a file' if path.exists() else 'does not exist'}")
    ending = next((suffix for suffix in reversed(path.suffixes) if suffix.lower() != ".gz"), "").lower()
    if ending not in endings:
        raise UserError(f"{path}: unknown format {ending!r}, expected one of {', '.join(endings)}, or these with .gz")
    return ending


def open_text(path: Path, newline: str | None = None) -> IO[str]:
    """The file's text, unpacked where it is gzipped; bytes that are not UTF-8 become lone surrogates."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def open_bytes(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def json_lines(path: Path) -> Iterator[Any]:
    """Empty lines are no rows; one that is no JSON is a bad row."""
    with open_text(path) as lines:
        yield from (_parsed(line) for line in lines if line.strip())


def json_content(path: Path) -> Any:
    """What a JSON file holds; `None` where that is JSON lines by another name, as the hub's own writer makes them."""
    with open_text(path) as file:
        try:
            return json.load(file)
        except json.JSONDecodeError as error:
            if error.msg != "Extra data":
                raise
            return None


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return BadRow("not JSON")
