"""Reads questions with contexts and answers: SQuAD's official JSON, flat rows, or the hub; names every bad one."""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import datasets
import pyarrow
from datasets import Dataset, Features, List, Value
from datasets.arrow_reader import ArrowReader
from datasets.arrow_writer import ArrowWriter
from pyarrow import parquet

from lightning_modules.data.hub import load_parts
from lightning_modules.data.tables import BadRows, good_rows, known_ending
from lightning_modules.errors import UserError

ENDINGS = (".json", ".jsonl", ".parquet")
COLUMNS = Features(
    {
        "id": Value("string"),
        "title": Value("string"),
        "context": Value("string"),
        "question": Value("string"),
        "answers": {"text": List(Value("string")), "answer_start": List(Value("int32"))},
    }
)
# How a question was read; only in the cached file.
READING = Features({"place": Value("string"), "fault": Value("string"), "repaired": Value("bool")})
BLANK: dict[str, Any] = {
    "id": "",
    "title": "",
    "context": "",
    "question": "",
    "answers": {"text": [], "answer_start": []},
    "repaired": False,
}

Found = Iterator[tuple[str, Any]]  # place of a question in its source, and what stands there


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


class _BadRow(Exception):
    """Says what is wrong with one question."""


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
    ending = known_ending(path, ENDINGS)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    try:
        rows = _cached(f"{digest.hexdigest()} {ending}", _found(path, ending), check_starts)
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
        found = ((f"row {i}", row) for i, row in enumerate(rows, 1))
        read = _cached(rows._fingerprint, found, check_starts=part == "train")
        parts[part] = _good(Path(name) / split, read, bad_rows)
    return parts


def _good(path: Path, rows: Dataset, bad_rows: BadRows) -> Questions:
    if not len(rows):
        raise UserError(f"{path} has no questions")
    faults = {i: fault for i, fault in enumerate(rows["fault"][:]) if fault}
    good = good_rows(path, rows, faults, bad_rows, lambda i: str(rows[i]["place"]))
    return Questions(path, good.remove_columns(list(READING)), Counter(faults.values()), sum(good["repaired"][:]))


def _cached(source: str, found: Found, check_starts: bool) -> Dataset:
    """All questions, the bad ones too, from a file named by the source's content and by this code."""
    key = f"{source} {check_starts} ".encode() + Path(__file__).read_bytes()
    name = hashlib.sha256(key).hexdigest()
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "questions"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.arrow"
    if not path.exists():
        _write(path, _rows(found, check_starts))
    return Dataset(ArrowReader.read_table(str(path), in_memory=False), fingerprint=name[:16])


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Whole or not at all: several processes may read the same file at once."""
    with NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
        partial = Path(file.name)
    try:
        with ArrowWriter(features=Features({**COLUMNS, **READING}), path=str(partial)) as writer:
            for row in rows:
                writer.write(row)
            writer.finalize()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _rows(found: Found, check_starts: bool) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for place, raw in found:
        named = raw.get("id") if isinstance(raw, dict) else None
        place = f"question {str(named)!r}" if isinstance(named, str | int) else place  # noqa: PLW2901
        try:
            row = _row(raw, place, check_starts)
            if row["id"] in seen:
                raise _BadRow("another question has the same id")
        except _BadRow as fault:
            yield {**BLANK, "place": place, "fault": str(fault)}
        else:
            seen.add(row["id"])
            yield {**row, "place": place, "fault": ""}


def _row(raw: Any, place: str, check_starts: bool) -> dict[str, Any]:
    if isinstance(raw, _BadRow):
        raise raw
    if not isinstance(raw, dict):
        raise _BadRow("not an object")
    name = raw.get("id")
    if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
        raise _BadRow("id is neither a string nor a whole number")
    title = raw.get("title")
    context, answers = _text(raw, "context"), _answers(raw)
    starts = [_start(context, text, start, check_starts) for text, start in answers]
    return {
        "id": _encodable("id", place if name is None else str(name)),
        "title": _encodable("title", title) if isinstance(title, str) else "",
        "context": context,
        "question": _text(raw, "question"),
        "answers": {"text": [text for text, _ in answers], "answer_start": starts},
        "repaired": any(start not in (given, -1) for start, (_, given) in zip(starts, answers, strict=True)),
    }


def _text(raw: dict[str, Any], key: str) -> str:
    if raw.get(key) is None:
        raise _BadRow(f"no {key}")
    text = raw[key]
    if not isinstance(text, str):
        raise _BadRow(f"{key} is not a string")
    if not text.strip():
        raise _BadRow(f"empty {key}")
    return _encodable(key, text)


def _encodable(key: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _BadRow(f"{key} is not valid Unicode (wrong encoding, not UTF-8, or half of a surrogate pair)") from error
    return text


def _answers(raw: dict[str, Any]) -> list[tuple[str, Any]]:
    """Pairs of text and start as it is given, None where it is not."""
    answers = raw.get("answers")
    if answers is None:
        raise _BadRow("no answers")
    if isinstance(answers, dict):
        answers = _transposed(answers)
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        raise _BadRow("answers are not objects with text and answer_start")
    if raw.get("is_impossible") or not answers:
        raise _BadRow("no answer: a span cannot be learnt from it")
    return [(_text(answer, "text"), answer.get("answer_start")) for answer in answers]


def _transposed(answers: dict[str, Any]) -> list[dict[str, Any]]:
    """Lists of texts and of starts as the hub has them, or one text with its start -> one object an answer."""
    texts, starts = answers.get("text"), answers.get("answer_start")
    if isinstance(texts, str):
        return [answers]
    if not isinstance(texts, list):
        raise _BadRow("answers have no list of text")
    if starts is None:
        return [{"text": text} for text in texts]
    if not isinstance(starts, list) or len(starts) != len(texts):
        raise _BadRow("answers have lists of different lengths")
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]


def _start(context: str, text: str, start: Any, check: bool) -> int:
    """Where the text stands: at `start`, or where it stands once; else, unchecked, -1."""
    if start is None and check:
        raise _BadRow("an answer has no answer_start")
    if start is not None and (isinstance(start, bool) or not isinstance(start, int)):
        raise _BadRow("answer_start is not a whole number")
    if start is not None and start >= 0 and context.startswith(text, start):
        return start
    first = context.find(text)
    if first >= 0 and context.find(text, first + 1) < 0:
        return first
    if not check:
        return -1
    raise _BadRow(
        "an answer is not in the context"
        if first < 0
        else "answer_start does not match its text, which stands more than once in the context"
    )


def _found(path: Path, ending: str) -> Found:
    if ending == ".parquet":
        return _parquet(path)
    return _json_lines(path) if ending == ".jsonl" else _json(path)


def _open(path: Path) -> IO[str]:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig", errors="surrogateescape")


def _json_lines(path: Path) -> Found:
    with _open(path) as lines:
        filled = (line for line in lines if line.strip())
        yield from ((f"row {i}", _parsed(line)) for i, line in enumerate(filled, 1))


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return _BadRow("not JSON")


def _parquet(path: Path) -> Found:
    row = 0
    with path.open("rb") as raw, gzip.open(raw) if path.suffix.lower() == ".gz" else raw as file:
        for batch in parquet.ParquetFile(file).iter_batches(1000):
            for fields in batch.to_pylist():
                row += 1
                yield f"row {row}", fields


def _json(path: Path) -> Found:
    with _open(path) as file:
        try:
            content = json.load(file)
        except json.JSONDecodeError as error:
            if error.msg != "Extra data":
                raise
            content = None
    if content is None:  # JSON lines by another name, as the hub's own writer makes them
        yield from _json_lines(path)
        return
    rows = content.get("data") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise ValueError('expected SQuAD\'s {"data": [...]} or a list of rows')
    if any(isinstance(row, dict) and "paragraphs" in row for row in rows):
        yield from _articles(rows)
    else:
        yield from ((f"row {i}", row) for i, row in enumerate(rows, 1))


def _articles(articles: list[Any]) -> Found:
    for i, article in enumerate(articles):
        at = f"data[{i}]"
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            yield at, _BadRow("no list of paragraphs")
            continue
        for j, paragraph in enumerate(paragraphs):
            yield from _paragraph(f"{at}.paragraphs[{j}]", article.get("title"), paragraph)


def _paragraph(at: str, title: Any, paragraph: Any) -> Found:
    qas = paragraph.get("qas") if isinstance(paragraph, dict) else None
    if not isinstance(qas, list):
        yield at, _BadRow("no list of qas")
        return
    for k, qa in enumerate(qas):
        place = f"{at}.qas[{k}]"
        if isinstance(qa, dict) and qa.get("id") is None:
            yield place, _BadRow("no id")
        elif isinstance(qa, dict):
            yield place, {**qa, "title": title, "context": paragraph.get("context")}
        else:
            yield place, qa
