"""Labelled files as people keep them, through a client that knows the answers."""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from archives.errors import ServerError
from archives.evaluate import evaluate

ROWS = {"good; really": "pos", "bad, sadly": "neg", "so\tso": "neg"}
CSV = [("text", "label", "id"), *((f'"{text}"', label, "1") for text, label in ROWS.items())]


class Knows:
    """Answers with the label that `ROWS` has."""

    def predict_batch(self, texts: Iterable[str]) -> list[dict[str, Any]]:
        return [{"label": ROWS[text]} for text in texts]

    def predict(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"top_k": [{"label": label} for label in ["pos", "neg"][: int(request["top_k"])]]}


def figures(path: Path, content: str) -> dict[str, Any]:
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    client: Any = Knows()
    return {name: value for name, value in evaluate(client, path, "text", "label").items() if name != "seconds"}


@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ","), ("a.csv", ";"), ("a.csv", "\t"), ("a.csv.gz", ";"), ("a.tsv", "\t")]
)
def test_a_csv_may_be_separated_by_semicolons_or_tabs(tmp_path: Path, name: str, separator: str) -> None:
    content = "\ufeff" + "".join(separator.join(line) + "\r\n" for line in CSV)
    assert figures(tmp_path / name, content) == {"rows": 3, "accuracy": 1.0}


def test_labels_are_read_as_in_training(tmp_path: Path) -> None:
    assert figures(tmp_path / "a.csv", 'text,label\ngood; really, pos \n"bad, sadly",pos\n')["accuracy"] == 0.5


def test_a_long_text_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "word " * 50_000
    monkeypatch.setitem(ROWS, long, "pos")
    assert figures(tmp_path / "a.csv", f"text,label\n{long},pos\n") == {"rows": 1, "accuracy": 1.0}


def test_a_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"a\.csv, row 1 has no column 'label', it has text, category"):
        figures(tmp_path / "a.csv", "text,category\na,b\n")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ('"good; really,pos\nso so,neg\n5" d,neg', "row 1: a quote that does not close"),
        ("so so,neg\nbad, sadly,neg", "row 2: more fields than the header"),
    ],
)
def test_a_row_that_training_calls_bad_is_an_error(tmp_path: Path, rows: str, told: str) -> None:
    with pytest.raises(ServerError, match=told):
        figures(tmp_path / "a.csv", f"text,label\n{rows}\n")


def test_blank_lines_and_loose_quotes_are_read_as_in_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, "Great movie", "pos")
    monkeypatch.setitem(ROWS, "two\n\nlines", "neg")
    content = '\n \ntext;label\n\n"Great" movie;pos\n\n"two\n\nlines";neg\n'
    assert figures(tmp_path / "a.csv", content) == {"rows": 2, "accuracy": 1.0}


def test_labels_that_the_model_does_not_know_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(tmp_path / "a.csv", 'text,label\ngood; really,pos\n"bad, sadly",Negative\n')["accuracy"] == 0.5
    assert "1 of 2 rows have labels that the model does not know, such as 'Negative'; it knows 'neg', 'pos'" in (
        capsys.readouterr().err
    )
