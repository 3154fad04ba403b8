"""Read labelled texts from a CSV, TSV, JSON, JSONL or Parquet file, gzipped or not, and name every bad row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from archives.reading.files import BadRow, encodable, json_content, json_lines, known_ending, naming, require_arrow
from archives.reading.options import ReadOptions
from archives.reading.separated import separated_rows

RawRows = Iterator[dict[str, Any] | BadRow]  # values by column


class LabelledRow(NamedTuple):
    """A text with its label and, if there is one, its complexity.

    Args:
        row: number in the file, from 1; a header does not count.
        problem: the reason why the row cannot be used, and its values are blank; "" if it can.
    """

    row: int
    text: str = ""
    label: str = ""
    complexity: str = ""
    problem: str = ""

    @property
    def place(self) -> str:
        return f"row {self.row}"


def labelled_rows(path: Path, options: ReadOptions) -> Iterator[LabelledRow]:
    """Yield all rows of a file, bad ones included; the file's ending decides its format.

    Raises:
        DataError: the file does not exist, does not have the format of its ending, or lacks a column.
    """
    ending = known_ending(path, FORMATS)

    def rows() -> Iterator[LabelledRow]:
        with naming(path, ending):
            yield from checked_rows(FORMATS[ending](path, options), options)

    return rows()


def checked_rows(raw_rows: Iterable[dict[str, Any] | BadRow], options: ReadOptions) -> Iterator[LabelledRow]:
    """Return each row with its values as strings; a missing value is ""."""
    return (_checked(number, raw, options) for number, raw in enumerate(raw_rows, 1))


def _checked(number: int, raw: dict[str, Any] | BadRow, options: ReadOptions) -> LabelledRow:
    try:
        return LabelledRow(number, *_strings(raw, options))
    except BadRow as problem:
        return LabelledRow(number, problem=str(problem))


def _strings(raw: dict[str, Any] | BadRow, options: ReadOptions) -> tuple[str, str, str]:
    if isinstance(raw, BadRow):
        raise raw
    text = _string("text", raw.get(options.text_column))
    label = _string("label", raw.get(options.label_column)).strip()
    complexity = options.complexity_column
    level = _string("complexity", raw.get(complexity)).strip() if complexity else ""
    if not text.strip():
        raise BadRow("empty text")
    if not label:
        raise BadRow("missing label")
    return text, label, level


def _string(role: str, value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode(errors="surrogateescape")
    if isinstance(value, list | tuple | dict):
        raise BadRow(f"{role} is {'an object' if isinstance(value, dict) else 'a list'}: one value is needed")
    # pandas writes a missing number as NaN.
    text = "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
    if not encodable(text):
        raise BadRow("wrong encoding (not UTF-8, or half of a surrogate pair)")
    return text


def _json_rows(path: Path, options: ReadOptions) -> RawRows:
    """Yield the objects of a list, or the one object, or those of JSON lines."""
    content = json_content(path)
    if isinstance(content, dict):
        content = [content]
    elif not isinstance(content, list | None):
        raise ValueError("expected a list of rows")
    return _objects(json_lines(path) if content is None else content, path, options)


def _json_line_rows(path: Path, options: ReadOptions) -> RawRows:
    return _objects(json_lines(path), path, options)


def _objects(values: Iterable[Any], path: Path, options: ReadOptions) -> RawRows:
    """Yield the objects, and a `BadRow` for any other value. Columns are checked at the end, once all are known."""
    columns: dict[str, None] = {}
    for value in values:
        if isinstance(value, dict):
            columns.update(dict.fromkeys(value))
            yield value
        else:
            yield value if isinstance(value, BadRow) else BadRow("not an object")
    if columns:
        options.columns_of(path, columns)


def _parquet_rows(path: Path, options: ReadOptions) -> RawRows:
    return require_arrow(path).parquet_rows(path, partial(options.columns_of, path))


FORMATS: dict[str, Callable[[Path, ReadOptions], RawRows]] = {
    ".csv": partial(separated_rows, separators=",;\t"),
    ".tsv": partial(separated_rows, separators="\t"),
    ".json": _json_rows,
    ".jsonl": _json_line_rows,
    ".parquet": _parquet_rows,
}
