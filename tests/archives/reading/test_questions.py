"""Test the readers of questions: every format gives the same rows, and every unusable question is named."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from archives.reading.files import DataError, all_good
from archives.reading.questions import UNKNOWN, Needs, Question, holds_questions, question_rows
from tests.support.squad_rows import CONTEXT, ROWS, answer, flat, nested, written

BAD = {
    "not in the context": flat(answers=answer(3, text="London")),
    "stands more than once": flat(answers=answer(3)),
    "stands more than once ": flat(answers=answer(-50)),  # a negative index would be valid in Python
    "no answer: a span cannot be learned": flat(answers=answer()),
    "no answer: a span cannot be learned ": flat(is_impossible=True),
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


def read(path: Path, needs: Needs = "starts") -> list[Question]:
    return all_good(path, question_rows(path, needs), "questions")


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the questions of a file in the shape of `ROWS`."""
    return [
        {
            "id": one.id,
            "title": one.title,
            "context": one.context,
            "question": one.question,
            "answers": {"text": list(one.texts), "answer_start": list(one.starts)},
        }
        for one in read(path)
    ]


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize("ending", [".json", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_questions(tmp_path: Path, ending: str, zipped: str) -> None:
    path = written(tmp_path / f"flat{ending}{zipped}", ROWS)
    assert rows(path) == ROWS
    assert not any(one.repaired for one in read(path))
    assert holds_questions(path)


@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_the_official_format_gives_the_same_questions(tmp_path: Path, zipped: str) -> None:
    path = written(tmp_path / f"squad.json{zipped}", nested(ROWS))
    assert rows(path) == ROWS
    assert holds_questions(path)


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", ROWS)
    assert rows(path.rename(tmp_path / "rows.json")) == ROWS


def test_flat_rows_in_data_and_answers_as_objects_are_read(tmp_path: Path) -> None:
    start = CONTEXT.index("1973")
    several = [
        flat(id="a", answers=[{"text": "1973", "answer_start": start}]),
        flat(id="b", answers={"text": "1973", "answer_start": start}),
    ]
    read_rows = rows(written(tmp_path / "rows.json", {"data": several}))
    assert [row["answers"] for row in read_rows] == [{"text": ["1973"], "answer_start": [start]}] * 2


def test_flat_rows_need_no_id_and_no_title(tmp_path: Path) -> None:
    questions = read(written(tmp_path / "rows.jsonl", [flat(id=None, title=None), flat(id=7)]))
    assert [(one.id, one.title) for one in questions] == [("row 1", ""), ("7", "Zoë")]


@pytest.mark.parametrize("content", ['{"text": "a", "label": "b"}\n', '{"question": "a", "label": "b"}', "", "{", "3"])
def test_json_lines_without_contexts_hold_no_questions(tmp_path: Path, content: str) -> None:
    (tmp_path / "rows.jsonl").write_text(content)
    assert not holds_questions(tmp_path / "rows.jsonl")


@pytest.mark.parametrize("problem", BAD)
def test_a_bad_question_is_named_and_is_the_only_one_lost(tmp_path: Path, problem: str) -> None:
    bad: Any = BAD[problem]
    path = tmp_path / "bad.json"
    path.write_text(json.dumps([ROWS[1], bad, flat(id="q3")]), encoding="utf-8")
    named = isinstance(bad, dict) and isinstance(bad["id"], str)
    place = f"question {bad['id']!r}" if named else "row 2"
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {place}: ")
    assert problem.strip() in str(caught.value)
    assert str(caught.value).endswith(". Correct or remove them")
    assert [one.id for one in question_rows(path, "starts") if not one.problem] == ["q2", "q3"]


def test_five_bad_questions_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.jsonl", [flat(id=f"q{i}", question="") for i in range(8)])
    with pytest.raises(DataError, match=r"question 'q4': empty question; and 3 more\. Correct"):
        read(path)


def test_a_broken_line_is_the_only_one_lost(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", ROWS)
    path.write_bytes(path.read_bytes() + b'{"question": \n' + json.dumps(flat(id="q3")).encode())
    with pytest.raises(DataError, match="row 3: not JSON"):
        read(path)
    assert [one.id for one in question_rows(path, "starts") if not one.problem] == ["q1", "q2", "q3"]


def test_a_missing_part_of_the_official_format_is_reported_with_its_place(tmp_path: Path) -> None:
    content = nested([flat(id=f"q{i}") for i in range(6)])
    articles = content["data"]
    del articles[0]["paragraphs"][0]["qas"][0]["id"]
    articles[1]["paragraphs"] = None
    del articles[2]["paragraphs"][0]["qas"]
    articles[3]["paragraphs"][0]["qas"][0] = "text"
    del articles[4]["paragraphs"][0]["context"]
    path = written(tmp_path / "bad.json", content)
    assert [f"{one.place}: {one.problem}" for one in question_rows(path, "starts") if one.problem] == [
        "data[0].paragraphs[0].qas[0]: no id",
        "data[1]: no list of paragraphs",
        "data[2].paragraphs[0]: no list of qas",
        "data[3].paragraphs[0].qas[0]: not an object",
        "question 'q4': no context",
    ]


def test_every_answer_is_at_the_position_of_its_row(tmp_path: Path) -> None:
    several = [
        flat(id="late", answers=answer(3, text="1973")),
        flat(id="right"),
        flat(id="none", answers=answer(0, text="Zoë")),
    ]
    questions = read(written(tmp_path / "rows.json", several))
    for one in questions:
        assert all(one.context.startswith(text, start) for text, start in zip(one.texts, one.starts, strict=True))
    assert [one.id for one in questions if one.repaired] == ["late"]


def test_starts_are_not_checked_where_they_are_not_used(tmp_path: Path) -> None:
    several = [
        flat(id="guess", answers=answer(3)),
        flat(id="absent", answers={"text": ["Paris"]}),
        flat(id="elsewhere", answers=answer(3, text="London")),
        flat(id="written", answers=answer("15")),
        flat(id="once", answers=answer(3, text="1973")),
    ]
    path = written(tmp_path / "rows.json", several)
    questions = read(path, "answers")
    starts = {one.id: one.starts[0] for one in questions}
    once = CONTEXT.index("1973")
    assert starts == {"guess": UNKNOWN, "absent": UNKNOWN, "elsewhere": UNKNOWN, "written": UNKNOWN, "once": once}
    assert [one.id for one in questions if one.repaired] == ["once"]
    with pytest.raises(DataError, match="'guess'"):
        read(path)


def test_a_question_that_is_only_asked_needs_no_answers_and_no_id(tmp_path: Path) -> None:
    content = nested([flat(), flat(id="q2")])
    for article in content["data"]:
        (asked,) = article["paragraphs"][0]["qas"]
        del asked["answers"], asked["id"]
    questions = read(written(tmp_path / "test.json", content), "question")
    assert [(one.question, one.context) for one in questions] == [("Where did she go?", CONTEXT)] * 2


def test_another_encoding_is_named_by_question(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    row = flat(context="été 1973", answers=answer(4, text="1973"))
    path.write_bytes(json.dumps(row, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(DataError, match=r"question 'q1': context is not valid Unicode \(wrong encoding"):
        read(path)


def test_a_replacement_character_is_a_character(tmp_path: Path) -> None:
    row = flat(context="what � means", answers=answer(5, text="�"), title="Unicode")
    assert rows(written(tmp_path / "rows.json", [row])) == [row]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.json", None, "does not exist"),
        ("data.csv", b"question,context", r"unknown format '.csv', expected one of .json, .jsonl, .parquet"),
        ("broken.json", b'{"data": [', "cannot be read as json"),
        ("empty.json", b"", "cannot be read as json"),
        ("other.json", b'{"rows": []}', r"cannot be read as json: expected SQuAD's .* or a list of rows"),
        ("nothing.json", b'{"data": []}', "has no questions"),
        ("empty.jsonl", b"", "has no questions"),
        ("empty.parquet", b"", "cannot be read as parquet"),
        ("cut.json.gz", gzip.compress(b"[]" * 500, mtime=0)[:-9], "cannot be read as json"),
        ("plain.json.gz", b"[]", "cannot be read as json"),
    ],
)
def test_a_file_without_questions_is_reported(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / name)
