"""Asks a served model every question of a file: the exact match and F1 that callers get.

python -m archives evaluate --model qa --file dev-v1.1.json --predictions predictions.json
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archives.client import Client
from archives.errors import ServerError
from archives.evaluate import ending, open_text
from archives.squad_metric import evaluate


@dataclass(frozen=True)
class Question:
    """`references`: the texts of its right answers."""

    id: str
    question: str
    context: str
    references: tuple[str, ...]


def holds_questions(path: Path) -> bool:
    """True for JSON, gzipped or not, by the file's name, and for JSON lines of which the first has a context."""
    if ending(path) != ".jsonl":
        return ending(path) == ".json"
    try:
        with open_text(path) as lines:
            first = json.loads(next(lines, "null"))
    except (OSError, EOFError, ValueError):
        return False  # told by what reads texts with labels
    return isinstance(first, dict) and {"question", "context"} <= first.keys()


def evaluate_questions(client: Client, path: Path, predictions: Path | None) -> dict[str, Any]:
    """Questions, official exact match and F1 in per cent, and seconds of the whole.

    `predictions` is written in the official format, id -> text.

    Raises:
        ServerError: a file cannot be read or written, or holds no questions with answers.
        ClientError: the server did not answer.
    """
    questions = read_questions(path)
    began = time.perf_counter()
    answers = client.predict_batch({"question": one.question, "context": one.context} for one in questions)
    seconds = time.perf_counter() - began
    texts = [str(answer["answer"]) for answer in answers]
    if predictions is not None:
        write_predictions(predictions, {one.id: text for one, text in zip(questions, texts, strict=True)})
    figures = evaluate(zip(texts, (one.references for one in questions), strict=True))
    return {"questions": len(questions), **figures, "seconds": round(seconds, 2)}


def read_questions(path: Path) -> list[Question]:
    """Questions of SQuAD's nested JSON, or of flat rows with question, context and answers, as JSON or JSON lines.

    A flat row without `id` is called `row N`, from 1, as in training. Raises ServerError for a file that is neither,
    that has a question twice, or one without an answer; it names the question where it knows it.
    """
    try:
        questions = list(_questions(_content(path), path))
    except (OSError, EOFError, ValueError) as error:
        raise ServerError(f"{path} cannot be read: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ServerError(f"{path} is neither rows nor in SQuAD's official format ({error!r})") from error
    if not questions:
        raise ServerError(f"{path} has no questions")
    without = [one.id for one in questions if not one.references]
    if without:
        raise ServerError(f"{path}: {len(without)} questions have no answers, the first is {without[0]}")
    repeated, times = Counter(one.id for one in questions).most_common(1)[0]
    if times > 1:
        raise ServerError(f"{path}: {times} questions have the id {repeated}: give each one its own")
    return questions


def _content(path: Path) -> Any:
    with open_text(path) as file:
        text = file.read()
    try:
        if ending(path) == ".json":
            return json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":  # JSON lines by another name, as the hub's own writer makes them
            raise
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _questions(content: Any, path: Path) -> Iterator[Question]:
    rows = content if isinstance(content, list) else content["data"]
    if not any("paragraphs" in row for row in rows):
        yield from (_flat(row, f"row {i}", path) for i, row in enumerate(rows, start=1))
        return
    for article in rows:
        for paragraph in article["paragraphs"]:
            for row in paragraph["qas"]:
                asked = str(row["id"]), row["question"], paragraph["context"]
                yield Question(*asked, tuple(one["text"] for one in row["answers"]))


def _flat(row: Any, place: str, path: Path) -> Question:
    try:
        answers = row["answers"]
        # {"text": [...], "answer_start": [...]} as the hub has it, or {"text", "answer_start"} of each answer
        texts = answers["text"] if isinstance(answers, dict) else [one["text"] for one in answers]
        named = row.get("id")
        id = place if named is None else str(named)
        return Question(id, row["question"], row["context"], (texts,) if isinstance(texts, str) else tuple(texts))
    except (KeyError, TypeError, AttributeError) as error:
        raise ServerError(f"{path}, {place}: expected question, context and answers with text ({error!r})") from error


def write_predictions(path: Path, texts: dict[str, str]) -> None:
    try:
        path.write_text(json.dumps(texts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ServerError(f"{path} cannot be written: {error}") from error
