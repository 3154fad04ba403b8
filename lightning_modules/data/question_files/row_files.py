"""Files of flat rows: JSON lines and Parquet."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pyarrow import parquet

from lightning_modules.data.question_files.source import BadQuestion, Found, open_text


def numbered(rows: Iterable[Any]) -> Found:
    """Rows with their place, `row 1` the first."""
    return ((f"row {i}", row) for i, row in enumerate(rows, 1))


def json_lines(path: Path) -> Found:
    """Empty lines are no rows; one that is no JSON is a bad question."""
    with open_text(path) as lines:
        yield from numbered(_parsed(line) for line in lines if line.strip())


def parquet_rows(path: Path) -> Found:
    with path.open("rb") as raw, gzip.open(raw) if path.suffix.lower() == ".gz" else raw as file:
        batches = parquet.ParquetFile(file).iter_batches(1000)
        yield from numbered(fields for batch in batches for fields in batch.to_pylist())


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return BadQuestion("not JSON")
