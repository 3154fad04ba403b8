"""Rows of labelled texts as they stand in a CSV, TSV, JSON, JSONL or Parquet file, or in a hub data set."""

import csv
import json
import math
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from datasets import ClassLabel, Dataset, Features, Json
from pyarrow import parquet

from lightning_modules.data.source_files import BadRow, json_content, json_lines, open_bytes, open_text
from lightning_modules.errors import UserError

Rows = Iterator[dict[str, Any] | BadRow]  # values by the name of their column

LONGEST_FIELD = 2**31 - 1  # characters; Python's own limit refuses long texts


@dataclass(frozen=True)
class Columns:
    """Where a file keeps what: names of the text, label and (optional) complexity column."""

    text: str
    label: str
    complexity: str | None

    def all_in(self, available: Collection[str]) -> bool:
        return self.text in available and self.label in available

    def among(self, path: Path, available: Collection[str]) -> list[str]:
        """Those that are available.

        Raises:
            UserError: the text or the label is not.
        """
        for role, name in (("text", self.text), ("label", self.label)):
            if name not in available:
                names = ", ".join(available).encode(errors="replace").decode()
                raise UserError(f"{path} has no column {name!r}: set --data.{role}_column to one of {names}")
        return [name for name in dict.fromkeys((self.text, self.label, self.complexity)) if name and name in available]


class Lines:
    """Lines of which those `taken` can be read again; `ended` when one more was asked for than there are."""

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


def separated_rows(path: Path, columns: Columns, separators: str) -> Rows:
    """A row with too many fields is bad, as is one with a quote that does not close.

    Args:
        separators: of which the first is taken that finds the columns in the header, or the first of all.
    """
    csv.field_size_limit(LONGEST_FIELD)
    with open_text(path, newline="") as file:
        first = next((line for line in file if line.strip()), "")
        found = (sign for sign in separators if columns.all_in(next(csv.reader([first], delimiter=sign), [])))
        records = _records(Lines(chain([first], file)), next(found, separators[0]))
        header = next(records, None)
        if not isinstance(header, list):
            raise ValueError(header or "there is nothing in it")
        places = {name: header.index(name) for name in columns.among(path, header)}
        for fields in records:
            if isinstance(fields, BadRow):
                yield fields
            elif len(fields) > len(header):
                yield BadRow("more fields than the header: quote texts that hold a separator")
            else:
                yield {name: fields[i] if i < len(fields) else "" for name, i in places.items()}


def json_rows(path: Path, columns: Columns) -> Rows:
    """A list of objects, or one object; or JSON lines."""
    content = json_content(path)
    if content is None:
        content = json_lines(path)
    elif isinstance(content, dict):
        content = [content]
    elif not isinstance(content, list):
        raise ValueError("expected a list of rows")
    yield from _objects(content, path, columns)


def json_line_rows(path: Path, columns: Columns) -> Rows:
    return _objects(json_lines(path), path, columns)


def parquet_rows(path: Path, columns: Columns) -> Rows:
    with open_bytes(path) as opened:
        file = parquet.ParquetFile(opened)
        names = columns.among(path, file.schema_arrow.names)
        fields = [file.schema_arrow.field(name) for name in names]
        features = Features.from_arrow_schema(pyarrow.schema(fields, file.schema_arrow.metadata))
        whole = _whole(fields, lambda name: file.read([name])[name])
        yield from _arrow_rows(file.iter_batches(1000, columns=names), features, whole)


def hub_rows(path: Path, rows: Dataset, columns: Columns) -> Rows:
    rows = rows.select_columns(columns.among(path, rows.column_names))
    whole = _whole(rows.features.arrow_schema, rows.data.column)
    yield from _arrow_rows(rows.with_format("arrow").iter(1000), rows.features, whole)


def _records(lines: Lines, separator: str) -> Iterator[list[str] | BadRow]:
    """The fields of each record. Where a quote does not close, its line alone is bad: those after it are read anew.

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
    """Those of the next record, None after the last. What follows a closing quote belongs to its field."""
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


def _objects(rows: Iterable[Any], path: Path, columns: Columns) -> Rows:
    seen: dict[str, None] = {}
    for row in rows:
        if isinstance(row, dict):
            seen.update(dict.fromkeys(row))
            yield row
        else:
            yield row if isinstance(row, BadRow) else BadRow("not an object")
    if seen:
        columns.among(path, seen)


def _arrow_rows(batches: Iterable[Any], features: Features, whole: Collection[str]) -> Rows:
    """Rows of record batches or tables; floats in `whole` columns become integers."""
    for batch in batches:
        values = [_values(batch.column(name), feature, name in whole) for name, feature in features.items()]
        yield from (dict(zip(features, row, strict=True)) for row in zip(*values, strict=True))


def _values(column: Any, feature: Any, whole: bool) -> list[Any]:
    if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
        column = column.cast(pyarrow.large_binary())  # what is not UTF-8 would fail as strings, for all rows
    values = column.to_pylist()
    if isinstance(feature, ClassLabel):
        return [None if value in (None, -1) else feature.int2str(value) for value in values]
    if isinstance(feature, Json):  # values of mixed types
        return [None if value is None else json.loads(value) for value in values]
    if whole:
        return [None if value is None or math.isnan(value) else int(value) for value in values]
    return values


def _whole(fields: Iterable[pyarrow.Field], column_of: Callable[[str], pyarrow.ChunkedArray]) -> set[str]:
    """Names of the columns of floats that were integers."""
    floats = [field.name for field in fields if pyarrow.types.is_floating(field.type)]
    return {name for name in floats if _was_whole(column_of(name))}


def _was_whole(column: pyarrow.ChunkedArray) -> bool:
    """Whether these are integers, of which some are missing, as pandas writes them: as floats."""
    values = column.to_numpy()
    known = values[~np.isnan(values)]
    return len(known) < len(values) and bool((np.isfinite(known) & (known == np.floor(known))).all())
