"""`python -m archives evaluate` against the running server."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from tests.support.served import MODEL, QA, Served, archives
from tests.support.tiny_qa_export import CONTEXT, QUESTIONS


def test_accuracy_is_the_share_of_rows_with_the_files_label(served: Served, servers: Path, tmp_path: Path) -> None:
    texts = ["translate this sentence", "write a function", "hello, how are you"]
    labels = [served.post(json={"text": text}).json()["label"] for text in texts]
    with gzip.open(tmp_path / "rows.v1.csv.gz", "wt", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(
            [("question", "topic"), *zip(texts, labels, strict=True), (texts[0], "another label")]
        )
    where = ("--servers", servers, "--port", str(served.server.port), "--model", MODEL)
    columns = ("--text-column", "question", "--label-column", "topic")
    result = archives("evaluate", *where, "--file", tmp_path / "rows.v1.csv.gz", *columns)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) | {"seconds": 0} == {"rows": 4, "accuracy": 0.75, "seconds": 0}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", "question,topic\na,b\n", "has no column 'text': set --text-column to one of question, topic"),
        ("rows.xlsx", "", "unknown format '.xlsx'"),
        ("rows.jsonl", '{"text": "a", "label": "b"}\n{"text": "c"}\n', "row 2: missing label"),
    ],
)
def test_a_file_that_does_not_fit_is_named(
    served: Served, servers: Path, tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    where = ("--servers", servers, "--port", str(served.server.port), "--model", MODEL)
    result = archives("evaluate", *where, "--file", tmp_path / name)
    assert result.returncode == 1
    assert message in result.stderr


def squad(path: Path, references: list[list[str]]) -> Path:
    """Write an official file of the tiny model's questions with these right answers."""
    answers = [[{"text": text, "answer_start": CONTEXT.find(text)} for text in texts] for texts in references]
    qas = [
        {"id": f"id{i}", "question": question, "answers": right}
        for i, (question, right) in enumerate(zip(QUESTIONS, answers, strict=True))
    ]
    content = {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": CONTEXT, "qas": qas}]}]}
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(content, file)
    return path


def test_official_metrics_of_a_served_model_and_its_predictions(served: Served, servers: Path, tmp_path: Path) -> None:
    answers = [served.post(QA, json={"question": one, "context": CONTEXT}).json()["answer"] for one in QUESTIONS]
    file = squad(tmp_path / "dev.json.gz", [["zebra", f"The {answers[0]}!"], ["zebra"], [f"{answers[2]} zebra"]])
    where = ("--servers", servers, "--port", str(served.server.port), "--model", QA)
    result = archives("evaluate", *where, "--file", file, "--predictions", tmp_path / "predictions.json")
    assert result.returncode == 0, result.stderr
    metrics = json.loads(result.stdout)
    assert (metrics["questions"], metrics["exact_match"]) == (3, 100 / 3)
    assert metrics["exact_match"] < metrics["f1"] < 200 / 3
    written = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    assert written == dict(zip(["id0", "id1", "id2"], answers, strict=True))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ('{"data": []}', "has no questions"),
        (
            '{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "a7", "question": "q", "answers": []}]}]}]}',
            "question 'a7': no answer",
        ),
    ],
)
def test_an_official_file_that_does_not_fit_is_named(
    served: Served, servers: Path, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "dev.json").write_text(content)
    where = ("--servers", servers, "--port", str(served.server.port), "--model", QA)
    result = archives("evaluate", *where, "--file", tmp_path / "dev.json")
    assert result.returncode == 1
    assert message in result.stderr


def test_a_question_from_the_command_line(served: Served, servers: Path, tmp_path: Path) -> None:
    where = ("predict", "--servers", servers, "--port", str(served.server.port), "--model", QA)
    (tmp_path / "context.txt").write_text(CONTEXT)
    typed = archives(*where, "--question", QUESTIONS[0], "--context", CONTEXT)
    read = archives(*where, "--question", QUESTIONS[0], "--file", tmp_path / "context.txt")
    assert typed.returncode == 0, typed.stderr
    assert json.loads(typed.stdout)["answer"] in CONTEXT
    assert read.stdout == typed.stdout
    for arguments in (("--context", CONTEXT), ("--question", QUESTIONS[0], "--text", CONTEXT)):
        refused = archives(*where, *arguments)
        assert refused.returncode == 1
        assert "belong together" in refused.stderr
