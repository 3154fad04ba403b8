"""Read the rows of a CSV or TSV file; a row that is broken costs only itself."""

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
    """Iterate over lines so that those since the last `taken.clear()` can be read again.

    `ended` is true when one more line was asked for than there are.
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
        separators: the first of them that finds the columns in the header is taken, or else the first of all.
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
    """Yield the fields of each record. Where a quote does not close, its line alone is bad: the next are read anew.

    A quote takes what follows it up to the next one, or to the end. That shows in a line where no separator follows the
    next one, and with tabs as a field with both a tab and a line break; with commas texts may hold both.
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
    """Return the fields of the next record, None after the last. What follows a closing quote belongs to its field."""
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
