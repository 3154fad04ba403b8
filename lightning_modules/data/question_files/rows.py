"""What stands in a source to rows of one shape, and what is wrong with those that cannot be used."""

from collections.abc import Iterator
from typing import Any

from datasets import Features, List, Value

from lightning_modules.data.question_files.answer_starts import checked_start, is_repaired
from lightning_modules.data.question_files.row_files import Found
from lightning_modules.data.source_files import BadRow

COLUMNS = Features(
    {
        "id": Value("string"),
        "title": Value("string"),
        "context": Value("string"),
        "question": Value("string"),
        "answers": {"text": List(Value("string")), "answer_start": List(Value("int32"))},
    }
)
# How a question was read: its place, what is wrong with it ("": nothing), and whether an answer_start was corrected.
READING = Features({"place": Value("string"), "fault": Value("string"), "repaired": Value("bool")})
BLANK: dict[str, Any] = {
    "id": "",
    "title": "",
    "context": "",
    "question": "",
    "answers": {"text": [], "answer_start": []},
    "repaired": False,
}


def checked_rows(found: Found, *, check_starts: bool) -> Iterator[dict[str, Any]]:
    """A row of `COLUMNS` and `READING` for each question, blank for a bad one."""
    seen: set[str] = set()
    for place, raw in found:
        named = raw.get("id") if isinstance(raw, dict) else None
        place = f"question {str(named)!r}" if isinstance(named, str | int) else place  # noqa: PLW2901
        try:
            row = _row(raw, place, check_starts)
            if row["id"] in seen:
                raise BadRow("another question has the same id")
        except BadRow as fault:
            yield {**BLANK, "place": place, "fault": str(fault)}
        else:
            seen.add(row["id"])
            yield {**row, "place": place, "fault": ""}


def _row(raw: Any, place: str, check_starts: bool) -> dict[str, Any]:
    if isinstance(raw, BadRow):
        raise raw
    if not isinstance(raw, dict):
        raise BadRow("not an object")
    name = raw.get("id")
    if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
        raise BadRow("id is neither a string nor a whole number")
    title = raw.get("title")
    context, answers = _text(raw, "context"), _answers(raw)
    starts = [checked_start(context, text, start, required=check_starts) for text, start in answers]
    return {
        "id": _encodable("id", place if name is None else str(name)),
        "title": _encodable("title", title) if isinstance(title, str) else "",
        "context": context,
        "question": _text(raw, "question"),
        "answers": {"text": [text for text, _ in answers], "answer_start": starts},
        "repaired": any(is_repaired(start, given) for start, (_, given) in zip(starts, answers, strict=True)),
    }


def _text(raw: dict[str, Any], key: str) -> str:
    if raw.get(key) is None:
        raise BadRow(f"no {key}")
    text = raw[key]
    if not isinstance(text, str):
        raise BadRow(f"{key} is not a string")
    if not text.strip():
        raise BadRow(f"empty {key}")
    return _encodable(key, text)


def _encodable(key: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRow(f"{key} is not valid Unicode (wrong encoding, not UTF-8, or half of a surrogate pair)") from error
    return text


def _answers(raw: dict[str, Any]) -> list[tuple[str, Any]]:
    """Pairs of text and start as it is given, None where it is not."""
    answers = raw.get("answers")
    if answers is None:
        raise BadRow("no answers")
    if isinstance(answers, dict):
        answers = _transposed(answers)
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        raise BadRow("answers are not objects with text and answer_start")
    if raw.get("is_impossible") or not answers:
        raise BadRow("no answer: a span cannot be learnt from it")
    return [(_text(answer, "text"), answer.get("answer_start")) for answer in answers]


def _transposed(answers: dict[str, Any]) -> list[dict[str, Any]]:
    """Lists of texts and of starts as the hub has them, or one text with its start -> one object an answer."""
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
