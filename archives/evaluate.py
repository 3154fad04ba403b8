"""Evaluate a served model on every row of a file, to measure the quality that callers get.

python -m archives evaluate --model intent --file data/intent/test.csv --label-column intent
python -m archives evaluate --model qa --file dev-v1.1.json --predictions predictions.json
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archives import squad_metric
from archives.client import Client
from archives.errors import ServerError
from archives.reading.files import DataError, all_good
from archives.reading.labelled import LabelledRow, labelled_rows
from archives.reading.options import ReadOptions
from archives.reading.questions import Question, holds_questions, question_rows

MAX_LABELS = 10  # labels in a message


def evaluate(
    client: Client, path: Path, text_column: str, label_column: str, predictions: Path | None = None
) -> dict[str, Any]:
    """Return the accuracy on labelled texts, or exact match and F1 on questions with answers.

    Rows are sent in as few requests as the limits allow. A bad row is an error here, even if training dropped it: a
    metric over the remaining rows would not be the metric of the file.

    Args:
        predictions: file for the answers to questions, in SQuAD's official format, id -> text.

    Raises:
        ServerError: a file cannot be read or written, or has bad rows.
        ClientError: the server did not answer.
    """
    try:
        if holds_questions(path):
            questions = all_good(path, question_rows(path, needs="answers"), "questions")
        else:
            options = ReadOptions(text_column, label_column, flags=("--text-column", "--label-column"))
            return _evaluate_texts(client, all_good(path, labelled_rows(path, options)))
    except DataError as error:
        raise ServerError(str(error)) from error
    return _evaluate_questions(client, questions, predictions)


def _evaluate_texts(client: Client, rows: Sequence[LabelledRow]) -> dict[str, Any]:
    started = time.perf_counter()
    answers = client.predict_batch(row.text for row in rows)
    seconds = time.perf_counter() - started
    _note_unknown_labels(client, rows)
    right = sum(answer["label"] == row.label for answer, row in zip(answers, rows, strict=True))
    return {"rows": len(rows), "accuracy": round(right / len(rows), 4), "seconds": round(seconds, 2)}


def _note_unknown_labels(client: Client, rows: Sequence[LabelledRow]) -> None:
    """Print how many rows no answer can match. Usually the file is another model's, or the column is wrong."""
    known = {one["label"] for one in client.predict({"text": rows[0].text, "top_k": sys.maxsize})["top_k"]}
    unknown = [row.label for row in rows if row.label not in known]
    if unknown:
        print(
            f"note: {len(unknown)} of {len(rows)} rows have labels that the model does not know, such as "
            f"{unknown[0]!r}; it knows {', '.join(map(repr, sorted(known)[:MAX_LABELS]))}"
            f"{' and more' if len(known) > MAX_LABELS else ''}",
            file=sys.stderr,
        )


def _evaluate_questions(client: Client, questions: Sequence[Question], predictions: Path | None) -> dict[str, Any]:
    started = time.perf_counter()
    answers = client.predict_batch({"question": one.question, "context": one.context} for one in questions)
    seconds = time.perf_counter() - started
    texts = [str(answer["answer"]) for answer in answers]
    if predictions is not None:
        _write_predictions(predictions, {one.id: text for one, text in zip(questions, texts, strict=True)})
    metrics = squad_metric.evaluate(zip(texts, (one.texts for one in questions), strict=True))
    return {"questions": len(questions), **metrics, "seconds": round(seconds, 2)}


def _write_predictions(path: Path, texts: dict[str, str]) -> None:
    try:
        path.write_text(json.dumps(texts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ServerError(f"{path} cannot be written: {error}") from error
