"""Reads questions from a file or the hub, and names or drops the bad ones."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow
from datasets import Dataset, Features

from lightning_modules.data.hub import load_parts
from lightning_modules.data.question_files.json_files import json_questions
from lightning_modules.data.question_files.row_files import Found, line_rows, numbered, parquet_rows
from lightning_modules.data.question_files.rows import COLUMNS, READING, checked_rows
from lightning_modules.data.row_cache import cached, digest
from lightning_modules.data.source_files import known_ending
from lightning_modules.data.tables import BadRows, good_rows
from lightning_modules.errors import UserError

FORMATS: dict[str, Callable[[Path], Found]] = {
    ".json": json_questions,
    ".jsonl": line_rows,
    ".parquet": parquet_rows,
}


@dataclass
class Questions:
    """Questions of one source, memory-mapped, with the columns of the hub's `squad`.

    `rows`: `id`, `title`, `context`, `question`, `answers`: {`text`, `answer_start`}, one or more each. A start counts
    characters of the context; -1 where it is unknown, which only `check_starts=False` lets through.
    `dropped`: rows by what was wrong with them; `repaired`: questions of `rows` with a corrected answer_start.
    """

    path: Path
    rows: Dataset
    dropped: Counter[str] = field(default_factory=Counter)
    repaired: int = 0


def read_questions(path: Path, bad_rows: BadRows, *, check_starts: bool = True) -> Questions:
    """Reads `path` by its ending: JSON, JSONL or Parquet, gzipped too.

    A JSON file is SQuAD's (`data[].paragraphs[].qas[]`) or a list of flat rows; the others hold flat rows: `question`,
    `context` and `answers`, which is `{"text": [...], "answer_start": [...]}` or a list of `{"text", "answer_start"}`.
    A flat row without `id` is called `row N`, from 1.

    An answer_start at which its text does not stand is corrected when the text stands once in the context. Otherwise
    the question is bad, as it is without any answer (SQuAD v2's unanswerable ones): a span cannot be learnt from it.

    Args:
        check_starts: False lets wrong starts through; exact match and F1 do not use them.

    Raises:
        UserError: no such file, an unknown format, nothing in it, or, unless they are to be dropped, bad questions.
    """
    ending = known_ending(path, FORMATS)
    source = f"{digest(path)} {ending}"
    try:
        rows = _read(source, FORMATS[ending](path), check_starts)
    except (ValueError, OSError, EOFError, pyarrow.ArrowException) as error:
        cause = (str(error).strip() or "there is nothing in it").splitlines()[0]
        raise UserError(f"{path} cannot be read as {ending[1:]}: {cause}") from error
    return _good(path, rows, bad_rows)


def read_hub(name: str, bad_rows: BadRows = "error") -> dict[str, Questions]:
    """The parts `train`, and where there are any `val` and `test`, of a hub data set like `squad` or a local folder.

    Only in training has each answer_start to be right.
    """
    parts = {}
    for part, (split, rows) in load_parts(name).items():
        read = _read(rows._fingerprint, numbered(rows), check_starts=part == "train")
        parts[part] = _good(Path(name) / split, read, bad_rows)
    return parts


def _read(source: str, found: Found, check_starts: bool) -> Dataset:
    """All questions, the bad ones too."""
    rows = checked_rows(found, check_starts=check_starts)
    return cached("questions", f"{source} {check_starts}", rows, Features({**COLUMNS, **READING}))


def _good(path: Path, rows: Dataset, bad_rows: BadRows) -> Questions:
    if not len(rows):
        raise UserError(f"{path} has no questions")
    faults = {i: fault for i, fault in enumerate(rows["fault"][:]) if fault}
    good = good_rows(path, rows, faults, bad_rows, lambda i: str(rows[i]["place"]))
    return Questions(path, good.remove_columns(list(READING)), Counter(faults.values()), sum(good["repaired"][:]))
