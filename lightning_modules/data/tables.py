"""Reads a user's CSV, TSV, JSON, JSONL or Parquet file (gzipped too), or a hub data set, into labelled texts.

Every bad row is named.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas
import pyarrow
from datasets import ClassLabel, Dataset, Features, Json, Value, load_dataset
from datasets.exceptions import DatasetGenerationError

from lightning_modules.data.hub import load_parts
from lightning_modules.errors import UserError

# Without this, the texts "NA" and "null" would be missing values.
CSV_OPTIONS: dict[str, Any] = {"keep_default_na": False, "encoding_errors": "replace"}
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".csv": ("csv", CSV_OPTIONS),
    ".tsv": ("csv", {**CSV_OPTIONS, "delimiter": "\t"}),
    ".json": ("json", {"encoding_errors": "replace"}),
    ".jsonl": ("json", {"encoding_errors": "replace"}),
    ".parquet": ("parquet", {}),
}
SHOWN = 5  # bad rows listed in an error

BadRows = Literal["error", "drop"]


@dataclass(frozen=True)
class Columns:
    """Where a file keeps what: names of the text, label and (optional) complexity column."""

    text: str
    label: str
    complexity: str | None


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
    return _checked(path, _load(path), columns, bad_rows)


def read_hub_tables(name: str, columns: Columns, bad_rows: BadRows) -> dict[str, Table]:
    """The parts `train`, and where there are any `val` and `test`, of a hub data set like SST-2 or a local folder.

    A part without a single label, as the test part of a public contest has, is left out.
    """
    parts = {part: (Path(name) / split, rows) for part, (split, rows) in load_parts(name).items()}
    return {
        part: _checked(path, rows, columns, bad_rows)
        for part, (path, rows) in parts.items()
        if part == "train" or not _unlabelled(rows, columns.label)
    }


def _unlabelled(rows: Dataset, label: str) -> bool:
    return label in rows.column_names and set(rows.unique(label)) <= {None, -1, ""}


def _checked(path: Path, rows: Dataset, columns: Columns, bad_rows: BadRows) -> Table:
    for role, name in (("text", columns.text), ("label", columns.label)):
        if name not in rows.column_names:
            raise UserError(
                f"{path} has no column {name!r}: set --data.{role}_column to one of {', '.join(rows.column_names)}"
            )
    roles = {"text": columns.text, "label": columns.label, "complexity": columns.complexity}
    rows = rows.with_format("arrow").map(
        _as_strings,
        with_indices=True,
        batched=True,
        fn_kwargs={"roles": roles, "features": rows.features},
        remove_columns=rows.column_names,
        # Without this, a column of the same name would become what it was before.
        features=Features({"row": Value("int64"), **{role: Value("large_string") for role in roles}}),
    )
    rows.reset_format()
    faults = {
        i: fault
        for i, (text, label) in enumerate(zip(rows["text"][:], rows["label"][:], strict=True))
        if (fault := _fault(text, label))
    }
    return drop_or_refuse(Table(path, rows), faults, bad_rows)


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


def known_ending(path: Path, endings: Collection[str]) -> str:
    """The ending of an existing file's name, such as `.json`, before any `.gz`."""
    if not path.is_file():
        raise UserError(f"data file {path} does not exist")
    ending = next((suffix for suffix in reversed(path.suffixes) if suffix.lower() != ".gz"), "").lower()
    if ending not in endings:
        raise UserError(f"{path}: unknown format {ending!r}, expected one of {', '.join(endings)}, or these with .gz")
    return ending


def _as_strings(
    batch: pyarrow.Table, indices: list[int], roles: dict[str, str | None], features: Features
) -> dict[str, Any]:
    columns: dict[str, list[str]] = {
        role: _strings(batch[name], features[name]) if name and name in features else [""] * len(indices)
        for role, name in roles.items()
    }
    return {
        "row": [index + 1 for index in indices],
        "text": columns["text"],
        "label": [label.strip() for label in columns["label"]],
        "complexity": [level.strip() for level in columns["complexity"]],
    }


def _strings(column: pyarrow.ChunkedArray, feature: Any) -> list[str]:
    """Values as strings, a missing one as ""."""
    if isinstance(feature, Json):  # values of mixed types
        values = [None if value is None else json.loads(value) for value in column.to_pylist()]
        return ["" if value is None else str(value) for value in values]
    if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
        # by way of bytes: the JSON reader lets through what is not UTF-8
        texts = column.cast(pyarrow.large_binary()).to_pylist()
        return ["" if text is None else text.decode(errors="replace") for text in texts]
    if isinstance(feature, ClassLabel):
        return ["" if value in (None, -1) else feature.int2str(value) for value in column.to_pylist()]
    return ["" if value is None or _is_nan(value) else str(value) for value in column.to_pylist()]


def _is_nan(value: Any) -> bool:
    """As pandas writes a missing number."""
    return isinstance(value, float) and math.isnan(value)


def _load(path: Path) -> Dataset:
    ending = known_ending(path, FORMATS)
    builder, options = FORMATS[ending]
    try:
        if builder == "csv":
            # All columns as strings: a guess would make the label 007 a number, or differ between chunks of a file.
            head = pandas.read_csv(path, nrows=1, sep=options.get("delimiter", ","), encoding_errors="replace")
            if not isinstance(head.index, pandas.RangeIndex):
                raise UserError(f"{path}: row 1 has more fields than the header: quote texts that hold a separator")
            if head.empty:
                raise UserError(f"{path} has no rows")
            options = {**options, "features": Features({str(name): Value("string") for name in head.columns})}
        rows = load_dataset(builder, data_files=str(path), split="train", **options)
    except (DatasetGenerationError, ValueError, OSError, StopIteration) as error:
        cause = (str(error.__cause__ or error).strip() or "there is nothing in it").splitlines()[0]
        raise UserError(f"{path} cannot be read as {ending[1:]}: {cause}") from error
    if not len(rows):
        raise UserError(f"{path} has no rows")
    return rows


def _fault(text: str, label: str) -> str | None:
    if not text.strip():
        return "empty text"
    if not label:
        return "missing label"
    if "\N{REPLACEMENT CHARACTER}" in text + label:
        return "wrong encoding (not UTF-8)"
    return None
