"""Read the rows of Parquet files and of other Arrow data. Imported only where there are such: it needs pyarrow."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import compute, parquet

from archives.reading.files import open_bytes

BATCH = 1000  # rows


def parquet_rows(path: Path, columns_of: Callable[[Collection[str]], list[str]] = list) -> Iterator[dict[str, Any]]:
    """Yield the values of each row by column.

    Args:
        columns_of: chooses among the names of the file's columns.
    """
    with _opened(path) as file:
        names = columns_of(file.schema_arrow.names)
        fields = [file.schema_arrow.field(name) for name in names]
        schema = pyarrow.schema(fields, file.schema_arrow.metadata)
        batches = file.iter_batches(BATCH, columns=names)
        yield from arrow_rows(batches, schema, lambda name: file.read([name])[name])


def arrow_rows(
    batches: Iterable[Any], schema: pyarrow.Schema, column_of: Callable[[str], pyarrow.ChunkedArray]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of record batches or tables that have the columns of `schema`.

    Classes are given by their names where the metadata of the `datasets` library has them, and floats as integers
    where they were integers: pandas makes them floats when one is missing.

    Args:
        column_of: returns a whole column by its name.
    """
    features = _features(schema)
    floats = [field.name for field in schema if pyarrow.types.is_floating(field.type)]
    whole = {name for name in floats if _was_whole(column_of(name))}
    for batch in batches:
        columns = [_values(batch.column(name), features.get(name, {}), name in whole) for name in schema.names]
        yield from (dict(zip(schema.names, row, strict=True)) for row in zip(*columns, strict=True))


@contextmanager
def _opened(path: Path) -> Iterator[parquet.ParquetFile]:
    try:
        with open_bytes(path) as opened:
            yield parquet.ParquetFile(opened)
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from error


def _features(schema: pyarrow.Schema) -> dict[str, Any]:
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features: dict[str, Any] = metadata.get("info", {}).get("features") or {}
    return features


def _values(column: Any, feature: dict[str, Any], whole: bool) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:  # of one string that is not UTF-8, for all rows
        raw = column.cast(pyarrow.large_binary()).to_pylist()
        values = [None if value is None else value.decode(errors="surrogateescape") for value in raw]
    kind = feature.get("_type")
    if kind == "ClassLabel":
        names = feature["names"]
        return [None if value in (None, -1) else names[value] for value in values]
    if kind == "Json":  # values of mixed types
        return [None if value is None else json.loads(value) for value in values]
    if whole:
        return [None if value is None or math.isnan(value) else int(value) for value in values]
    return values


def _was_whole(column: pyarrow.ChunkedArray) -> bool:
    """Return whether these are integers that pandas wrote as floats because some are missing."""
    numbers = column.cast(pyarrow.float64()).drop_null()
    numbers = numbers.filter(compute.invert(compute.is_nan(numbers)))
    integers = compute.and_(compute.is_finite(numbers), compute.equal(numbers, compute.floor(numbers)))
    return len(numbers) < len(column) and bool(compute.all(integers).as_py())
