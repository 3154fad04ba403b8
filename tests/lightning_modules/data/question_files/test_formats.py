"""Questions of every format become the same rows."""

import gzip
import json
from pathlib import Path

import pytest

from lightning_modules.data.question_files import read_questions
from lightning_modules.errors import UserError
from tests.support.squad_rows import CONTEXT, ROWS, flat, nested, written


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize("ending", [".json", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, ending: str, zipped: str) -> None:
    questions = read_questions(written(tmp_path / f"flat{ending}{zipped}", ROWS), "error")
    assert list(questions.rows) == ROWS
    assert questions.dropped == {}
    assert questions.repaired == 0


@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_the_official_format_gives_the_same_rows(tmp_path: Path, zipped: str) -> None:
    assert list(read_questions(written(tmp_path / f"squad.json{zipped}", nested(ROWS)), "error").rows) == ROWS


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", ROWS)
    assert list(read_questions(path.rename(tmp_path / "rows.json"), "error").rows) == ROWS


def test_flat_rows_in_data_and_answers_as_objects_are_read(tmp_path: Path) -> None:
    start = CONTEXT.index("1973")
    rows = [
        flat(id="a", answers=[{"text": "1973", "answer_start": start}]),
        flat(id="b", answers={"text": "1973", "answer_start": start}),
    ]
    read = read_questions(written(tmp_path / "rows.json", {"data": rows}), "error").rows
    assert [row["answers"] for row in read] == [{"text": ["1973"], "answer_start": [start]}] * 2


def test_what_is_missing_in_the_official_format_is_told_with_its_place(tmp_path: Path) -> None:
    content = nested([flat(id=f"q{i}") for i in range(6)])
    articles = content["data"]
    del articles[0]["paragraphs"][0]["qas"][0]["id"]
    articles[1]["paragraphs"] = None
    del articles[2]["paragraphs"][0]["qas"]
    articles[3]["paragraphs"][0]["qas"][0] = "text"
    del articles[4]["paragraphs"][0]["context"]
    path = written(tmp_path / "bad.json", content)
    with pytest.raises(UserError) as caught:
        read_questions(path, "error")
    assert [part.strip() for part in str(caught.value).split(". Mend")[0].split(";")] == [
        f"{path}: data[0].paragraphs[0].qas[0]: no id",
        "data[1]: no list of paragraphs",
        "data[2].paragraphs[0]: no list of qas",
        "data[3].paragraphs[0].qas[0]: not an object",
        "question 'q4': no context",
    ]
    questions = read_questions(path, "drop")
    assert list(questions.rows["id"]) == ["q5"]
    assert questions.dropped.total() == 5


def test_a_broken_line_costs_only_itself(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", ROWS)
    path.write_bytes(path.read_bytes() + b'{"question": \n' + json.dumps(flat(id="q3")).encode())
    with pytest.raises(UserError, match="row 3: not JSON"):
        read_questions(path, "error")
    assert list(read_questions(path, "drop").rows["id"]) == ["q1", "q2", "q3"]


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
        ("cut.json.gz", gzip.compress(b"[]" * 500)[:-9], "cannot be read as json"),
        ("plain.json.gz", b"[]", "cannot be read as json"),
    ],
)
def test_a_file_without_questions_is_told(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_questions(tmp_path / name, "error")
