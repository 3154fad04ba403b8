"""Read the rows of a CSV or TSV file; a broken row does not affect the others."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from archives.reading.files import BadRow, open_text
from archives.reading.options import ReadOptions

MAX_FIELD = 2**31 - 1  # characters of a field; Python's own limit refuses long texts


class Lines:
    """An iterator over lines that can go back to the second line since the last `taken.clear()`.

    `ended` becomes true when a line is requested after the last one.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = iter(lines)
        self.again: deque[str] = deque()
        self.taken: list[str] = []
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else next(self.lines, None)
        if line is None:
            self.ended = True
            raise StopIteration
        self.taken.append(line)
        return line

    def back_to_second(self) -> None:
        self.again.extendleft(reversed(self.taken[1:]))
        self.ended = False


def separated_rows(path: Path, options: ReadOptions, separators: str) -> Iterator[dict[str, Any] | BadRow]:
    """Yield the values of each row by column. A row with too many fields, or with an open quote, is bad.

    Args:
        separators: the candidates; the first one that yields the needed columns is used, or else the first of all.
    """
    csv.field_size_limit(MAX_FIELD)
    with open_text(path, newline="") as file:
        first = next((line for line in file if line.strip()), "")
        fitting = (sign for sign in separators if options.all_in(next(csv.reader([first], delimiter=sign), [])))
        records = _records(Lines(chain([first], file)), next(fitting, separators[0]))
        header = next(records, None)
        if not isinstance(header, list):
            raise ValueError(header or "there is nothing in it")
        places = {name: header.index(name) for name in options.columns_of(path, header)}
        for fields in records:
            if isinstance(fields, BadRow):
                yield fields
            elif len(fields) > len(header):
                yield BadRow("more fields than the header: quote texts that hold a separator")
            else:
                yield {name: fields[i] if i < len(fields) else "" for name, i in places.items()}


def _records(lines: Lines, separator: str) -> Iterator[list[str] | BadRow]:
    """Yield the fields of each record. If a quote does not close, only its line is bad; the next lines are read again.

    An open quote swallows the text up to the next quote, or to the end of the file. It is recognized by a line in which
    no separator follows that next quote and, in a TSV, by a field with both a tab and a line break. In a CSV, a text
    may hold both.
    """
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while (fields := _fields(reader, lines, separator)) is not None:
        if isinstance(fields, BadRow):
            lines.back_to_second()
            yield fields
        elif len(fields) > 1 or "".join(fields).strip():
            yield fields
        lines.taken.clear()


def _fields(reader: Iterator[list[str]], lines: Lines, separator: str) -> list[str] | BadRow | None:
    """Return the next record's fields, or None after the last. Text after a closing quote belongs to its field."""
    tsv = separator == "\t"
    rule = " (in a TSV, no quoted text may hold both a tab and a line break)" if tsv else ""
    unclosed = BadRow(f"a quote that does not close{rule}")
    try:
        fields = next(reader, None)
    except csv.Error:
        closes = rf'([^"]|"")*"[ \t]*({separator}|[\r\n]|$)'
        if lines.ended or (len(lines.taken) > 1 and not re.match(closes, lines.taken[-1])):
            return unclosed
        line = Lines(lines.taken)
        fields = next(csv.reader(line, delimiter=separator))
        return unclosed if line.ended else fields
    swallowed = tsv and any("\t" in text and "\n" in text for text in fields or ())
    return unclosed if swallowed else fields
