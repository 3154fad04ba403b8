"""Files of questions as the evaluation of a served model reads them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from archives.errors import ServerError
from archives.evaluate_questions import Question, holds_questions, read_questions

ROWS: list[dict[str, Any]] = [
    {"id": "a", "question": "Who?", "context": "Ada ran.", "answers": {"text": ["Ada"], "answer_start": [0]}},
    {"id": 7, "question": "What?", "context": "Ada ran.", "answers": [{"text": "ran"}, {"text": "Ada ran"}]},
    {"question": "Who?", "context": "Bob ran.", "answers": {"text": "Bob", "answer_start": 0}},
]
EXPECTED = [
    Question("a", "Who?", "Ada ran.", ("Ada",)),
    Question("7", "What?", "Ada ran.", ("ran", "Ada ran")),
    Question("row 3", "Who?", "Bob ran.", ("Bob",)),
]
LINES = "\n".join(map(json.dumps, ROWS)) + "\n\n"
FILES = {
    "rows.json": json.dumps(ROWS),
    "data.json": json.dumps({"data": ROWS}),
    "rows.jsonl": LINES,
    "lines.json": LINES,
    "rows.jsonl.gz": LINES,
}


@pytest.mark.parametrize("name", FILES)
def test_flat_rows_are_read_from_json_and_json_lines(tmp_path: Path, name: str) -> None:
    content = FILES[name].encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert holds_questions(tmp_path / name)
    assert read_questions(tmp_path / name) == EXPECTED


@pytest.mark.parametrize("content", ['{"text": "a", "label": "b"}\n', '{"question": "a", "label": "b"}', "", "{", "3"])
def test_json_lines_without_contexts_hold_texts_with_labels(tmp_path: Path, content: str) -> None:
    (tmp_path / "rows.jsonl").write_text(content)
    assert not holds_questions(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([*ROWS, ROWS[0]], "2 questions have the id a"),
        ([ROWS[0], {**ROWS[1], "answers": None}], "row 2: expected question, context and answers with text"),
        ([ROWS[0], {"question": "Who?", "answers": []}], "row 2: expected question, context and answers"),
        ([{**ROWS[0], "answers": {"text": []}}], "1 questions have no answers, the first is a"),
        ([3], "neither rows nor in SQuAD's official format"),
    ],
)
def test_rows_that_cannot_be_asked_are_told(tmp_path: Path, rows: list[Any], said: str) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    with pytest.raises(ServerError, match=said):
        read_questions(tmp_path / "rows.json")


def test_a_question_that_stands_twice_in_the_official_format_is_told(tmp_path: Path) -> None:
    qas = [{"id": "a", "question": "Who?", "answers": [{"text": "Ada"}]}] * 2
    (tmp_path / "dev.json").write_text(json.dumps({"data": [{"paragraphs": [{"context": "Ada ran.", "qas": qas}]}]}))
    with pytest.raises(ServerError, match="2 questions have the id a"):
        read_questions(tmp_path / "dev.json")
