"""Read questions with contexts and answers from SQuAD's JSON, or from flat rows of JSON, JSONL or Parquet.

A flat row has `question`, `context` and `answers`, either `{"text": [...], "answer_start": [...]}` as on the hub or a
list of `{"text", "answer_start"}`. A flat row without `id` is called `row N`, counted from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from archives.reading.files import (
    BadRow,
    DataError,
    encodable,
    json_content,
    json_lines,
    known_ending,
    naming,
    require_arrow,
)

RawQuestions = Iterator[tuple[str, Any]]  # place in the file, and the value there
# Parts that a use of the questions needs: training the answers' starts, exact match and F1 the answers' texts.
Needs = Literal["starts", "answers", "question"]
UNKNOWN = -1  # start of an answer whose place in the context is unknown


class Question(NamedTuple):
    """A question about a context, with its reference answers.

    Args:
        place: the question's place in the file: its id, row number or path in the nested format.
        texts: the reference answers.
        starts: each answer's start in the context, in characters; `UNKNOWN` only if starts are not needed.
        repaired: whether a start was corrected.
        problem: the reason why the question cannot be used, and its values are blank; "" if it can.
    """

    place: str
    id: str = ""
    title: str = ""
    context: str = ""
    question: str = ""
    texts: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()
    repaired: bool = False
    problem: str = ""


def question_rows(path: Path, needs: Needs) -> Iterator[Question]:
    """Yield all questions of a file, bad ones included; the file's ending decides its format.

    Raises:
        DataError: the file does not exist, or does not have the format of its ending.
    """
    ending = known_ending(path, FORMATS)

    def rows() -> Iterator[Question]:
        with naming(path, ending):
            yield from checked_questions(FORMATS[ending](path), needs)

    return rows()


def holds_questions(path: Path) -> bool:
    """Return whether the file is nested like SQuAD's, or its first row has a question and a context.

    A file that cannot be read gives False. An empty one gives True if it ends in `.json`, as SQuAD's does.
    """
    try:
        ending = known_ending(path, FORMATS)
        with naming(path, ending):
            place, first = next(FORMATS[ending](path), ("", None))
    except DataError:
        return False
    if not place:
        return ending == ".json"
    return _is_nested(place) or (isinstance(first, dict) and {"question", "context"} <= first.keys())


def numbered(rows: Iterable[Any]) -> RawQuestions:
    """Yield flat rows with their places, `row 1` first."""
    return ((f"row {i}", row) for i, row in enumerate(rows, 1))


def checked_questions(raw_questions: Iterable[tuple[str, Any]], needs: Needs) -> Iterator[Question]:
    """Yield a `Question` for each raw one; it is blank, with a problem, if it lacks what is needed."""
    seen: set[str] = set()
    for place, raw in raw_questions:
        name = raw.get("id") if isinstance(raw, dict) else None
        named = f"question {str(name)!r}" if isinstance(name, str | int) else place
        try:
            question = _checked(named, place, raw, needs)
            if question.id in seen and needs != "question":
                raise BadRow("another question has the same id")
        except BadRow as problem:
            yield Question(named, problem=str(problem))
        else:
            seen.add(question.id)
            yield question


def _checked(named: str, place: str, raw: Any, needs: Needs) -> Question:
    if isinstance(raw, BadRow):
        raise raw
    if not isinstance(raw, dict):
        raise BadRow("not an object")
    name, title = raw.get("id"), raw.get("title")
    if name is None and _is_nested(place) and needs != "question":
        raise BadRow("no id")
    if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
        raise BadRow("id is neither a string nor a whole number")
    context, question = _text(raw, "context"), _text(raw, "question")
    answers = _answers(raw) if needs != "question" else []
    starts = tuple(_checked_start(context, text, start, needs) for text, start in answers)
    return Question(
        named,
        id=_encodable("id", place if name is None else str(name)),
        title=_encodable("title", title) if isinstance(title, str) else "",
        context=context,
        question=question,
        texts=tuple(text for text, _ in answers),
        starts=starts,
        repaired=any(start not in (raw_start, UNKNOWN) for start, (_, raw_start) in zip(starts, answers, strict=True)),
    )


def _text(raw: dict[str, Any], key: str) -> str:
    text = raw.get(key)
    if text is None:
        raise BadRow(f"no {key}")
    if not isinstance(text, str):
        raise BadRow(f"{key} is not a string")
    if not text.strip():
        raise BadRow(f"empty {key}")
    return _encodable(key, text)


def _encodable(key: str, text: str) -> str:
    if not encodable(text):
        raise BadRow(f"{key} is not valid Unicode (wrong encoding, not UTF-8, or half of a surrogate pair)")
    return text


def _answers(raw: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return pairs of text and start as in the file, with None for a missing start."""
    answers = raw.get("answers")
    if answers is None:
        raise BadRow("no answers")
    if isinstance(answers, dict):
        answers = _transposed(answers)
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        raise BadRow("answers are not objects with text and answer_start")
    if raw.get("is_impossible") or not answers:
        raise BadRow("no answer: a span cannot be learned from it")
    return [(_text(answer, "text"), answer.get("answer_start")) for answer in answers]


def _transposed(answers: dict[str, Any]) -> list[dict[str, Any]]:
    """Turn the hub's lists of texts and starts, or a single text with its start, into one object per answer."""
    texts, starts = answers.get("text"), answers.get("answer_start")
    if isinstance(texts, str):
        return [answers]
    if not isinstance(texts, list):
        raise BadRow("answers have no list of text")
    if starts is None:
        return [{"text": text} for text in texts]
    if not isinstance(starts, list) or len(starts) != len(texts):
        raise BadRow("answers have lists of different lengths")
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]


def _checked_start(context: str, text: str, start: Any, needs: Needs) -> int:
    """Return `start` if the text occurs there, or else the start of its only occurrence.

    Without either, return `UNKNOWN` if starts are not needed.

    Raises:
        BadRow: starts are needed, and this one is missing, or is wrong and cannot be corrected.
    """
    is_whole = isinstance(start, int) and not isinstance(start, bool)
    if needs == "starts" and not is_whole:
        raise BadRow("an answer has no answer_start" if start is None else "answer_start is not a whole number")
    if is_whole and start >= 0 and context.startswith(text, start):
        return int(start)
    first = context.find(text)
    if first >= 0 and context.find(text, first + 1) < 0:
        return first
    if needs != "starts":
        return UNKNOWN
    raise BadRow(
        "an answer is not in the context"
        if first < 0
        else "answer_start does not match its text, which stands more than once in the context"
    )


def _is_nested(place: str) -> bool:
    return place.startswith("data[")


def _json_questions(path: Path) -> RawQuestions:
    content = json_content(path)
    if content is None:
        return numbered(json_lines(path))
    rows = content.get("data") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise ValueError('expected SQuAD\'s {"data": [...]} or a list of rows')
    nested = any(isinstance(row, dict) and "paragraphs" in row for row in rows)
    return _nested_questions(rows) if nested else numbered(rows)


def _nested_questions(articles: list[Any]) -> RawQuestions:
    """Yield the questions of `data[].paragraphs[].qas[]` as flat rows."""
    for i, article in enumerate(articles):
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            yield f"data[{i}]", BadRow("no list of paragraphs")
            continue
        for j, paragraph in enumerate(paragraphs):
            place = f"data[{i}].paragraphs[{j}]"
            qas = paragraph.get("qas") if isinstance(paragraph, dict) else None
            if not isinstance(qas, list):
                yield place, BadRow("no list of qas")
                continue
            about = {"title": article.get("title"), "context": paragraph.get("context")}
            for k, qa in enumerate(qas):
                yield f"{place}.qas[{k}]", {**qa, **about} if isinstance(qa, dict) else qa


def _json_line_questions(path: Path) -> RawQuestions:
    return numbered(json_lines(path))


def _parquet_questions(path: Path) -> RawQuestions:
    return numbered(require_arrow(path).parquet_rows(path))


FORMATS: dict[str, Callable[[Path], RawQuestions]] = {
    ".json": _json_questions,
    ".jsonl": _json_line_questions,
    ".parquet": _parquet_questions,
}
