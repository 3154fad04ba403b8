"""What the reader of every format gives."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

Found = Iterator[tuple[str, Any]]  # place of a question in its source, and what stands there


class BadQuestion(Exception):
    """Says what is wrong with one question; stands in its place where that is found before its row is read."""


def open_text(path: Path) -> IO[str]:
    """The file's text, unpacked where it is gzipped; bytes that are not UTF-8 become lone surrogates."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig", errors="surrogateescape")
