"""Every question that cannot be used is named, or dropped and counted."""

import json
from pathlib import Path
from typing import Any

import pytest

from lightning_modules.data.question_files import read_questions
from lightning_modules.errors import UserError
from tests.support.squad_rows import ROWS, answer, flat, written

BAD = {
    "not in the context": flat(answers=answer(3, text="London")),
    "stands more than once": flat(answers=answer(3)),
    "stands more than once ": flat(answers=answer(-50)),  # an index from the end would find something
    "no answer: a span cannot be learnt": flat(answers=answer()),
    "no answer: a span cannot be learnt ": flat(is_impossible=True),
    "no answers": flat(answers=None),
    "answers are not objects": flat(answers="Paris"),
    "lists of different lengths": flat(answers={"text": ["Paris"], "answer_start": [1, 2]}),
    "answers have no list of text": flat(answers={"answer_start": [1]}),
    "an answer has no answer_start": flat(answers={"text": ["1973"]}),
    "answer_start is not a whole number": flat(answers=answer("15")),
    "empty text": flat(answers=answer(0, text=" ")),
    "text is not a string": flat(answers=[{"text": 1973, "answer_start": 0}]),
    "empty question": flat(question=" "),
    "no question": flat(question=None),
    "empty context": flat(context=""),
    "context is not a string": flat(context=["a"]),
    "question is not valid Unicode": flat(question="half \ud83d"),
    "another question has the same id": flat(id="q2"),
    "id is neither": flat(id=["q"]),
    "not an object": "text",
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_question_is_named_or_dropped_and_counted(tmp_path: Path, fault: str) -> None:
    bad: Any = BAD[fault]
    path = tmp_path / "bad.json"
    path.write_text(json.dumps([ROWS[1], bad, flat(id="q3")]), encoding="utf-8")
    named = isinstance(bad, dict) and isinstance(bad["id"], str)
    place = f"question {bad['id']!r}" if named else "row 2"
    with pytest.raises(UserError) as caught:
        read_questions(path, "error")
    assert str(caught.value).startswith(f"{path}: {place}: ")
    assert fault.strip() in str(caught.value)
    assert str(caught.value).endswith("Mend them, or drop and count them with --data.bad_rows=drop")
    questions = read_questions(path, "drop")
    assert list(questions.rows["id"]) == ["q2", "q3"]
    assert [fault.strip() in told for told in questions.dropped] == [True]
    assert questions.dropped.total() == 1


def test_five_bad_questions_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.jsonl", [flat(id=f"q{i}", question="") for i in range(8)])
    with pytest.raises(UserError, match=r"question 'q4': empty question; and 3 more\. Mend"):
        read_questions(path, "error")
    with pytest.raises(UserError, match="no good row is left after dropping 8 bad ones"):
        read_questions(path, "drop")


def test_flat_rows_need_no_id_and_no_title(tmp_path: Path) -> None:
    read = read_questions(written(tmp_path / "rows.jsonl", [flat(id=None, title=None), flat(id=7)]), "error").rows
    assert [(row["id"], row["title"]) for row in read] == [("row 1", ""), ("7", "Zoë")]


def test_another_encoding_is_named_by_question(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    row = flat(context="été 1973", answers=answer(4, text="1973"))
    path.write_bytes(json.dumps(row, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(UserError, match=r"question 'q1': context is not valid Unicode \(wrong encoding"):
        read_questions(path, "error")


def test_a_replacement_character_is_a_character(tmp_path: Path) -> None:
    row = flat(context="what � means", answers=answer(5, text="�"), title="Unicode")
    assert list(read_questions(written(tmp_path / "rows.json", [row]), "error").rows) == [row]
