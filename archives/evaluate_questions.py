"""Asks a served model every question of an official SQuAD file: the exact match and F1 that callers get.

python -m archives evaluate --model qa --file dev-v1.1.json --predictions predictions.json
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archives.client import Client
from archives.errors import ServerError
from archives.evaluate import ending, open_text
from handlers.text.answer_metric import evaluate


@dataclass(frozen=True)
class Question:
    """`references`: the texts of its right answers."""

    id: str
    question: str
    context: str
    references: tuple[str, ...]


def is_official(path: Path) -> bool:
    """True for SQuAD's nested JSON, gzipped or not, by the file's name."""
    return ending(path) == ".json"


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
    """Raises ServerError for a file that is not in the official format, naming the question where it knows it."""
    try:
        with open_text(path) as file:
            articles = json.load(file)["data"]
        questions = [
            Question(row["id"], row["question"], paragraph["context"], tuple(one["text"] for one in row["answers"]))
            for article in articles
            for paragraph in article["paragraphs"]
            for row in paragraph["qas"]
        ]
    except (OSError, EOFError, ValueError) as error:
        raise ServerError(f"{path} cannot be read: {error}") from error
    except (KeyError, TypeError) as error:
        raise ServerError(f"{path} is not in SQuAD's official format ({error!r})") from error
    if not questions:
        raise ServerError(f"{path} has no questions")
    without = [one.id for one in questions if not one.references]
    if without:
        raise ServerError(f"{path}: {len(without)} questions have no answers, the first is {without[0]}")
    return questions


def write_predictions(path: Path, texts: dict[str, str]) -> None:
    try:
        path.write_text(json.dumps(texts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ServerError(f"{path} cannot be written: {error}") from error
