"""Test the evaluation of labelled files as people keep them, with a client that knows the answers."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas
import pytest

from archives.errors import ServerError
from archives.evaluate import evaluate
from tests.support.squad_rows import ROWS as QUESTIONS
from tests.support.squad_rows import flat, nested, written

ROWS = {"good; really": "pos", "bad, sadly": "neg", "so\tso": "neg"}
CSV = [("text", "label", "id"), *((f'"{text}"', label, "1") for text, label in ROWS.items())]


class Knows:
    """Answer a text with its label in `ROWS`, and every question with "Paris"."""

    def predict_batch(self, requests: Iterable[Any]) -> list[dict[str, Any]]:
        return [{"label": ROWS[one]} if isinstance(one, str) else {"answer": "Paris"} for one in requests]

    def predict(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"top_k": [{"label": label} for label in ["pos", "neg"][: int(request["top_k"])]]}


def metrics(path: Path, content: str | None = None, predictions: Path | None = None) -> dict[str, Any]:
    if content is not None:
        path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    client: Any = Knows()
    return {k: value for k, value in evaluate(client, path, "text", "label", predictions).items() if k != "seconds"}


@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ","), ("a.csv", ";"), ("a.csv", "\t"), ("a.csv.gz", ";"), ("a.tsv", "\t")]
)
def test_a_csv_may_be_separated_by_semicolons_or_tabs(tmp_path: Path, name: str, separator: str) -> None:
    content = "\ufeff" + "".join(separator.join(line) + "\r\n" for line in CSV)
    assert metrics(tmp_path / name, content) == {"rows": 3, "accuracy": 1.0}


def test_labels_are_read_as_in_training(tmp_path: Path) -> None:
    assert metrics(tmp_path / "a.csv", 'text,label\ngood; really, pos \n"bad, sadly",pos\n')["accuracy"] == 0.5


def test_a_long_text_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "word " * 50_000
    monkeypatch.setitem(ROWS, long, "pos")
    assert metrics(tmp_path / "a.csv", f"text,label\n{long},pos\n") == {"rows": 1, "accuracy": 1.0}


@pytest.mark.parametrize("name", ["a.json", "a.JSONL", "a.jsonl.GZ", "a.parquet"])
def test_labelled_rows_are_read_from_the_formats_of_training(tmp_path: Path, name: str) -> None:
    rows = [{"text": text, "label": label} for text, label in ROWS.items()]
    if name == "a.parquet":
        pandas.DataFrame(rows).to_parquet(tmp_path / name)
        assert metrics(tmp_path / name) == {"rows": 3, "accuracy": 1.0}
        return
    content = json.dumps(rows) if name == "a.json" else "\n".join(map(json.dumps, rows))
    if name.endswith(".GZ"):
        (tmp_path / name).write_bytes(gzip.compress(content.encode()))
        assert metrics(tmp_path / name) == {"rows": 3, "accuracy": 1.0}
    else:
        assert metrics(tmp_path / name, content) == {"rows": 3, "accuracy": 1.0}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,category\na,b\n", "a.csv has no column 'label': set --label-column to one of text, category"),
        ("a.csv", 'text,label\n"good; really,pos\nso so,neg\n5" d,neg\n', "row 1: a quote that does not close"),
        ("a.csv", "text,label\nso so,neg\nbad, sadly,neg\n", "row 2: more fields than the header"),
        ("a.csv", "label,text\na\n", "row 1: empty text"),
        ("a.csv", "", "cannot be read as csv: there is nothing in it"),
        ("a.csv", "text,label\n", "a.csv has no rows"),
        ("a.jsonl", "{", "row 1: not JSON"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n\n{"text": "c"}\n', "row 2: missing label"),
        ("a.jsonl", "[1]", "row 1: not an object"),
        ("a.json", "3", "cannot be read as json: expected a list of rows"),
        ("a.xlsx", "", "unknown format '.xlsx', expected one of .csv, .tsv, .json, .jsonl, .parquet"),
        ("a.parquet", "", "cannot be read as parquet"),
        ("missing.csv", None, "missing.csv does not exist"),
    ],
)
def test_a_file_or_row_that_training_refuses_is_an_error(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    with pytest.raises(ServerError) as caught:
        metrics(tmp_path / name, content)
    assert message in str(caught.value)
    assert "bad_rows" not in str(caught.value)  # an option of training


def test_blank_lines_and_loose_quotes_are_read_as_in_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, "Great movie", "pos")
    monkeypatch.setitem(ROWS, "two\n\nlines", "neg")
    content = '\n \ntext;label\n\n"Great" movie;pos\n\n"two\n\nlines";neg\n'
    assert metrics(tmp_path / "a.csv", content) == {"rows": 2, "accuracy": 1.0}


def test_labels_that_the_model_does_not_know_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert metrics(tmp_path / "a.csv", 'text,label\ngood; really,pos\n"bad, sadly",Negative\n')["accuracy"] == 0.5
    assert "1 of 2 rows have labels that the model does not know, such as 'Negative'; it knows 'neg', 'pos'" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["a.json", "a.jsonl.gz", "a.parquet"])
def test_questions_and_labelled_texts_are_told_apart_by_the_content_of_the_file(tmp_path: Path, name: str) -> None:
    assert metrics(written(tmp_path / name, QUESTIONS)) == {"questions": 2, "exact_match": 50.0, "f1": 50.0}


def test_answers_are_written_in_the_official_format(tmp_path: Path) -> None:
    path = written(tmp_path / "dev.json", nested(QUESTIONS))
    assert metrics(path, predictions=tmp_path / "predictions.json")["questions"] == 2
    assert json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8")) == {"q1": "Paris", "q2": "Paris"}
    with pytest.raises(ServerError, match=r"none.p\.json cannot be written"):
        metrics(path, predictions=tmp_path / "none" / "p.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([*QUESTIONS, QUESTIONS[0]], "question 'q1': another question has the same id"),
        (nested([*QUESTIONS, QUESTIONS[0]]), "question 'q1': another question has the same id"),
        ([flat(), flat(id=None, answers=None)], "row 2: no answers"),
        ([flat(answers={"text": []})], "question 'q1': no answer"),
        ([flat(), 3], "row 2: not an object"),
        ({"data": [{"paragraphs": [{"qas": [{"id": "a"}]}]}]}, "question 'a': no context"),
        ({"data": []}, "has no questions"),
        ([], "has no questions"),
    ],
)
def test_questions_that_cannot_be_asked_are_an_error(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ServerError) as caught:
        metrics(written(tmp_path / "rows.json", content))
    assert message in str(caught.value)
