"""Asks a served model about every row of a labelled file: the accuracy that callers get.

python -m archives evaluate --model intent --file data/intent/test.csv --label-column intent
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

from archives.client import Client
from archives.errors import ServerError

MOST_TOLD = 10  # labels of a message
SEPARATORS = {".csv": ",;\t", ".tsv": "\t"}


def evaluate(client: Client, path: Path, text_column: str, label_column: str) -> dict[str, Any]:
    """Rows, accuracy, and seconds of the whole; the rows go out in as few requests as the limits allow.

    Raises:
        ServerError: the file cannot be read, or a row has no text or label.
        ClientError: the server did not answer.
    """
    found = _rows(path, {text_column, label_column})
    rows = [_pair(row, text_column, label_column, f"{path}, row {i}") for i, row in enumerate(found, start=1)]
    if not rows:
        raise ServerError(f"{path} has no rows")
    began = time.perf_counter()
    answers = client.predict_batch(text for text, _ in rows)
    seconds = time.perf_counter() - began
    _tell_unknown_labels(client, rows)
    right = sum(answer["label"] == label for answer, (_, label) in zip(answers, rows, strict=True))
    return {"rows": len(rows), "accuracy": round(right / len(rows), 4), "seconds": round(seconds, 2)}


def _tell_unknown_labels(client: Client, rows: Sequence[tuple[str, str]]) -> None:
    """Such rows are wrong whatever the model answers: mostly another model's file, or another column."""
    known = {one["label"] for one in client.predict({"text": rows[0][0], "top_k": sys.maxsize})["top_k"]}
    unknown = [label for _, label in rows if label not in known]
    if unknown:
        print(
            f"note: {len(unknown)} of {len(rows)} rows have labels that the model does not know, such as "
            f"{unknown[0]!r}; it knows {', '.join(map(repr, sorted(known)[:MOST_TOLD]))}"
            f"{' and more' if len(known) > MOST_TOLD else ''}",
            file=sys.stderr,
        )


def _pair(row: Any, text_column: str, label_column: str, where: str) -> tuple[str, str]:
    if not isinstance(row, dict):
        raise ServerError(f"{where}: expected an object with {text_column!r} and {label_column!r}")
    for column in (text_column, label_column):
        if row.get(column) is None:
            raise ServerError(f"{where} has no column {column!r}, it has {', '.join(map(str, row))}")
    return str(row[text_column]), str(row[label_column]).strip()  # as training reads labels


def ending(path: Path) -> str:
    """What the file's name says of its format, without `.gz`."""
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix


def open_text(path: Path) -> IO[str]:
    """The file's text, unpacked where it is gzipped; without a byte order mark, with its own line ends."""
    opened = (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="")
    return cast(IO[str], opened)


def _rows(path: Path, columns: set[str]) -> Iterator[Any]:
    csv.field_size_limit(2**31 - 1)  # Python's own limit refuses long texts
    try:
        with open_text(path) as file:
            lines = (line for line in file if line.strip())
            if ending(path) == ".jsonl":
                yield from map(json.loads, lines)
            elif ending(path) in SEPARATORS:
                header, separators = next(lines, ""), SEPARATORS[ending(path)]
                found = (sign for sign in separators if columns <= set(next(csv.reader([header], delimiter=sign), [])))
                yield from _separated(chain([header], file), next(found, separators[0]))
            else:
                raise ServerError(
                    f"{path}: expected a .csv, .tsv or .jsonl file of texts with labels, or a .json or .jsonl file of "
                    "questions with answers, or one of these with .gz; Parquet has to be made JSON lines first"
                )
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise ServerError(f"{path} cannot be read: {error}") from error


def _separated(lines: Iterable[str], separator: str) -> Iterator[dict[str, str]]:
    """Rows as training reads them; its bad ones are an error here: they would be lost, or count for other labels."""
    taken: list[str] = []

    def kept() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    records = csv.reader(kept(), delimiter=separator)
    header = next(records, [])
    taken.clear()
    rows = (fields for fields in records if len(fields) > 1 or "".join(fields).strip())
    for i, fields in enumerate(rows, start=1):
        lines_of_row = [line for line in taken if line.strip()]
        if len(lines_of_row) > 1 and not _is_strict(lines_of_row, separator):
            raise ValueError(f"row {i}: a quote that does not close takes the rows after it")
        if len(fields) > len(header):
            raise ValueError(f"row {i}: more fields than the header: quote texts that hold a separator")
        taken.clear()
        yield dict(zip(header, fields, strict=False))


def _is_strict(lines: list[str], separator: str) -> bool:
    try:
        return bool(list(csv.reader(lines, delimiter=separator, strict=True)))
    except csv.Error:
        return False
