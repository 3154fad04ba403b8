"""Asks a served model about every row of a labelled file: the accuracy that callers get.

python -m archives evaluate --model intent --file data/intent/test.csv --label-column intent
"""

from __future__ import annotations

import csv
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archives.client import Client
from archives.errors import ServerError

DELIMITERS = {".csv": ",", ".tsv": "\t"}


def evaluate(client: Client, path: Path, text_column: str, label_column: str) -> dict[str, Any]:
    """Rows, accuracy, and seconds of the whole; the rows go out in as few requests as the limits allow.

    Raises:
        ServerError: the file cannot be read or has no such columns.
        ClientError: the server did not answer.
    """
    rows = list(_rows(path))
    if not rows:
        raise ServerError(f"{path} has no rows")
    for column in (text_column, label_column):
        if column not in rows[0]:
            raise ServerError(f"{path} has no column {column!r}, it has {', '.join(map(str, rows[0]))}")
    began = time.perf_counter()
    answers = client.predict_batch(str(row[text_column]) for row in rows)
    seconds = time.perf_counter() - began
    right = sum(answer["label"] == str(row[label_column]) for answer, row in zip(answers, rows, strict=True))
    return {"rows": len(rows), "accuracy": round(right / len(rows), 4), "seconds": round(seconds, 2)}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    ending = "".join(suffix for suffix in path.suffixes[-2:] if suffix != ".gz")
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
            if ending == ".jsonl":
                yield from map(json.loads, file)
            elif ending in DELIMITERS:
                yield from csv.DictReader(file, delimiter=DELIMITERS[ending])
            else:
                raise ServerError(f"{path}: expected a .csv, .tsv or .jsonl file, or one of these with .gz")
    except (OSError, ValueError, csv.Error) as error:
        raise ServerError(f"{path} cannot be read: {error}") from error
