"""Reads the requests of a load test from an archive or a file, or makes some as long as people write."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from archives.errors import ServerError
from archives.reading.files import (
    BadRow,
    DataError,
    all_good,
    encodable,
    json_content,
    json_lines,
    naming,
    open_text,
)
from archives.reading.labelled import labelled_rows
from archives.reading.options import ReadOptions
from archives.reading.questions import holds_questions, question_rows
from archives.store import StoredModel, read_archive
from loadtest.errors import LoadTestError

# Formats that read_texts reads, for the help of options.
TEXTS = "texts a line, .json or .jsonl of requests, or a file as for training or evaluation, gzipped too"
# Questions taken from a file: enough for contexts of every length, few enough for every process to hold.
MAX_QUESTIONS = 500
# Lengths in words are log-normal, as those of messages are: (median, spread, limit). Half of the texts have up to 12
# words, one in twenty more than 62; contexts of questions are about ten times as long.
WORDS = {"text": (12, 1.0, 400), "context": (120, 0.82, 2000)}
MIXED_SAMPLES = 200
SEED = 0


@dataclass(frozen=True)
class Sample:
    """A request and its expected answer, None where that is not known; `fp32` is that of a worker that fell back."""

    request: dict[str, Any]
    expected: dict[str, Any] | None
    fp32: dict[str, Any] | None = None


def read_golden(archive: Path) -> list[Sample]:
    """Return the golden requests of a `.mar` with their answers; raise LoadTestError where there are none."""
    if not archive.is_file():
        raise LoadTestError(
            f"no archive {archive}: build it with make archive NAME={archive.stem}, or give a file with --texts"
        )
    return [Sample(pair["request"], pair["response"], pair.get("fp32")) for pair in _stored(archive).golden]


def read_labels(archive: Path) -> list[str] | None:
    """Return the labels that an archive's model knows; None without an archive (of a remote server), or without any."""
    labels = _stored(archive).labels if archive.is_file() else None
    return None if labels is None else list(labels)


def mixed(golden: Sequence[Sample]) -> list[Sample]:
    """Return golden requests with texts of other lengths, most of them short and some very long, the same in every run.

    Their answers are not known: only the answers' shape can be checked.
    """
    rng = random.Random(SEED)
    return [Sample(_resized(golden[i % len(golden)].request, golden, rng), None) for i in range(MIXED_SAMPLES)]


def read_texts(path: Path) -> list[Sample]:
    """Read requests from a file: texts, whole requests, or `{"request", "response"}` with the expected answer.

    `.json` and `.jsonl` hold these, or labelled texts or questions as for training; `.csv`, `.tsv` and
    `.parquet` do too. Any other file holds a text a line.

    Raises:
        LoadTestError: the file cannot be read, an entry is none of these, or there are none.
    """
    try:
        entries = _entries(path)
    except DataError as error:
        raise LoadTestError(f"--texts {error}") from error
    if not entries:
        raise LoadTestError(f"--texts {path}: the file is empty")
    return [_sample(entry, f"--texts {path}, entry {number}") for number, entry in enumerate(entries, start=1)]


def _stored(archive: Path) -> StoredModel:
    try:
        return read_archive(archive)
    except ServerError as error:
        raise LoadTestError(f"{error}, or give a file of texts with --texts") from error


def _resized(request: Mapping[str, Any], golden: Sequence[Sample], rng: random.Random) -> dict[str, Any]:
    resized = dict(request)
    for field, (median, spread, limit) in WORDS.items():
        if isinstance(resized.get(field), str):
            count = min(limit, max(1, round(median * rng.lognormvariate(0, spread))))
            texts = [sample.request[field] for sample in golden if isinstance(sample.request.get(field), str)]
            words = " ".join(rng.sample(texts, len(texts))).split()
            resized[field] = " ".join(islice(cycle(words), count))
    return resized


def _entries(path: Path) -> Sequence[Any]:
    ending = next((suffix for suffix in reversed(path.suffixes) if suffix.lower() != ".gz"), ".txt").lower()
    if ending == ".parquet":
        return _questions(path) if holds_questions(path) else _texts(path)
    if ending in {".csv", ".tsv"}:
        return _texts(path)
    with naming(path, ending):
        if ending not in {".json", ".jsonl"}:
            # Texts may hold other line separators of Unicode.
            with open_text(path, newline="\n") as lines:
                return [line.strip() for line in lines if line.strip()]
        content = json_content(path) if ending == ".json" else None
        entries = list(json_lines(path)) if content is None else content
    if isinstance(entries, dict) and "data" in entries:
        return _questions(path)
    if not isinstance(entries, list):
        raise DataError(f"{path}: expected a list, or SQuAD's official format, got {type(entries).__name__}")
    first = entries[0] if entries and isinstance(entries[0], dict) else {}
    return _questions(path) if "answers" in first else _texts(path) if "label" in first else entries


def _texts(path: Path) -> list[str]:
    return [row.text for row in all_good(path, labelled_rows(path, _TextColumn(label_column="text")))]


def _questions(path: Path) -> list[dict[str, str]]:
    """Return `MAX_QUESTIONS` questions in the file's order, the same in every run; all where there are no more."""
    rows = all_good(path, question_rows(path, needs="question"), "questions")
    chosen = random.Random(SEED).sample(range(len(rows)), min(MAX_QUESTIONS, len(rows)))
    return [{"question": rows[i].question, "context": rows[i].context} for i in sorted(chosen)]


class _TextColumn(ReadOptions):
    """Options of a file of which only the texts are read."""

    def columns_of(self, path: Path, available: Collection[str]) -> list[str]:
        if self.text_column in available:
            return [self.text_column]
        raise DataError(f"{path} has no column {self.text_column!r}, it has {', '.join(available)}")


def _sample(entry: Any, where: str) -> Sample:
    if isinstance(entry, str):
        if not encodable(entry):
            raise LoadTestError(f"{where}: wrong encoding (not UTF-8, or half of a surrogate pair)")
        return Sample({"text": entry}, None)
    if isinstance(entry, BadRow):
        raise LoadTestError(f"{where}: {entry}")
    if not isinstance(entry, dict):
        raise LoadTestError(f"{where}: expected a text or an object, got {type(entry).__name__}")
    if "request" not in entry:
        return Sample(entry, None)
    if not all(isinstance(entry.get(part, {}), dict) for part in ("request", "response", "fp32")):
        raise LoadTestError(f"{where}: request and response have to be objects")
    return Sample(entry["request"], entry.get("response"), entry.get("fp32"))
