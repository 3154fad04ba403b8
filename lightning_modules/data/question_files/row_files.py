"""Files of flat rows: JSON lines and Parquet."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pyarrow import parquet

from lightning_modules.data.source_files import json_lines, open_bytes

Found = Iterator[tuple[str, Any]]  # place of a question in its source, and what stands there


def numbered(rows: Iterable[Any]) -> Found:
    """Rows with their place, `row 1` the first."""
    return ((f"row {i}", row) for i, row in enumerate(rows, 1))


def line_rows(path: Path) -> Found:
    return numbered(json_lines(path))


def parquet_rows(path: Path) -> Found:
    with open_bytes(path) as file:
        batches = parquet.ParquetFile(file).iter_batches(1000)
        yield from numbered(fields for batch in batches for fields in batch.to_pylist())
