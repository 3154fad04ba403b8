"""Reads a user's CSV, TSV, JSON, JSONL or Parquet file (gzipped too), or a hub data set, into labelled texts.

Every bad row is named.
"""

import csv
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pyarrow
from datasets import Dataset, Features, Value

from lightning_modules.data.hub import load_parts
from lightning_modules.data.row_cache import cached, digest
from lightning_modules.data.source_files import BadRow, known_ending
from lightning_modules.data.table_files import (
    Columns,
    Rows,
    hub_rows,
    json_line_rows,
    json_rows,
    parquet_rows,
    separated_rows,
)
from lightning_modules.errors import UserError

FORMATS: dict[str, Callable[[Path, Columns], Rows]] = {
    ".csv": partial(separated_rows, separators=",;\t"),
    ".tsv": partial(separated_rows, separators="\t"),
    ".json": json_rows,
    ".jsonl": json_line_rows,
    ".parquet": parquet_rows,
}
STRINGS = Features({name: Value("large_string") for name in ("text", "label", "complexity")})
# `fault`: what is wrong with the row ("": nothing).
READ = Features({"row": Value("int64"), **STRINGS, "fault": Value("string")})
SHOWN = 5  # bad rows listed in an error

BadRows = Literal["error", "drop"]


@dataclass
class Table:
    """Rows of one file: strings `text`, `label`, `complexity` ("": none); `row`, from 1, the header not counted."""

    path: Path
    rows: Dataset
    dropped: Counter[str] = field(default_factory=Counter)


def read_table(path: Path, columns: Columns, bad_rows: BadRows) -> Table:
    """Reads `path` by its ending; every value becomes a string.

    Raises:
        UserError: no such file, an unknown format or column, or, unless they are to be dropped, bad rows.
    """
    ending = known_ending(path, FORMATS)
    try:
        return _checked(path, f"{digest(path)} {ending}", FORMATS[ending](path, columns), columns, bad_rows)
    except (csv.Error, zlib.error, ValueError, OSError, EOFError, pyarrow.ArrowException) as error:
        cause = (str(error).strip() or "there is nothing in it").splitlines()[0]
        raise UserError(f"{path} cannot be read as {ending[1:]}: {cause}") from error


def read_hub_tables(name: str, columns: Columns, bad_rows: BadRows) -> dict[str, Table]:
    """The parts `train`, and where there are any `val` and `test`, of a hub data set like SST-2 or a local folder.

    A part without a single label, as the test part of a public contest has, is left out.
    """
    parts = {part: (Path(name) / split, rows) for part, (split, rows) in load_parts(name).items()}
    return {
        part: _checked(path, rows._fingerprint, hub_rows(path, rows, columns), columns, bad_rows)
        for part, (path, rows) in parts.items()
        if part == "train" or not _unlabelled(rows, columns.label)
    }


def _unlabelled(rows: Dataset, label: str) -> bool:
    return label in rows.column_names and set(rows.unique(label)) <= {None, -1, ""}


def _checked(path: Path, source: str, found: Rows, columns: Columns, bad_rows: BadRows) -> Table:
    rows = cached("tables", f"{source} {columns}", _strings(found, columns), READ)
    if not len(rows):
        raise UserError(f"{path} has no rows")
    faults = {i: fault for i, fault in enumerate(rows["fault"][:]) if fault}
    return drop_or_refuse(Table(path, rows.remove_columns("fault")), faults, bad_rows)


def drop_or_refuse(table: Table, faults: dict[int, str], bad_rows: BadRows) -> Table:
    """The table without the rows in `faults` (index -> what is wrong), counted; or an error that names them."""
    rows = good_rows(table.path, table.rows, faults, bad_rows, lambda i: f"row {table.rows[i]['row']}")
    return Table(table.path, rows, table.dropped + Counter(faults.values()))


def good_rows(
    path: Path, rows: Dataset, faults: dict[int, str], bad_rows: BadRows, place: Callable[[int], str]
) -> Dataset:
    """`rows` without those in `faults`.

    Raises:
        UserError: rows are bad and not to be dropped (it tells the `place` of the first), or no row is left.
    """
    if not faults:
        return rows
    if bad_rows == "error":
        listed = "; ".join(f"{place(i)}: {fault}" for i, fault in list(faults.items())[:SHOWN])
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise UserError(f"{path}: {listed}{more}. Mend them, or drop and count them with --data.bad_rows=drop")
    keep = [i for i in range(len(rows)) if i not in faults]
    if not keep:
        raise UserError(f"{path}: no good row is left after dropping {len(faults)} bad ones")
    return rows.select(keep)


def _strings(found: Rows, columns: Columns) -> Iterator[dict[str, Any]]:
    """A row of `READ` for each that is found, blank for a bad one."""
    for number, values in enumerate(found, 1):
        try:
            row = _row(values, columns)
        except BadRow as fault:
            row = {**dict.fromkeys(STRINGS, ""), "fault": str(fault)}
        yield {"row": number, **row}


def _row(values: dict[str, Any] | BadRow, columns: Columns) -> dict[str, str]:
    if isinstance(values, BadRow):
        raise values
    text = _string("text", values.get(columns.text))
    label = _string("label", values.get(columns.label)).strip()
    complexity = _string("complexity", values.get(columns.complexity)).strip() if columns.complexity else ""
    if not text.strip():
        raise BadRow("empty text")
    if not label:
        raise BadRow("missing label")
    return {"text": text, "label": label, "complexity": complexity, "fault": ""}


def _string(role: str, value: Any) -> str:
    """A missing value is ""."""
    if isinstance(value, bytes):
        value = value.decode(errors="surrogateescape")
    if isinstance(value, list | tuple | dict):
        raise BadRow(f"{role} is {'an object' if isinstance(value, dict) else 'a list'}: one value is needed")
    text = "" if value is None or _is_nan(value) else str(value)
    if _has_surrogate(text):
        raise BadRow("wrong encoding (not UTF-8, or half of a surrogate pair)")
    return text


def _is_nan(value: Any) -> bool:
    """As pandas writes a missing number."""
    return isinstance(value, float) and math.isnan(value)


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
