"""`python -m archives evaluate` against the running server."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from tests.e2e.conftest import MODEL, Served, archives


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
    ("name", "content", "said"),
    [
        ("rows.csv", "question,topic\na,b\n", "has no column 'text', it has question, topic"),
        ("rows.xlsx", "", "expected a .csv, .tsv or .jsonl file"),
        ("rows.jsonl", "{", "cannot be read"),
        ("rows.csv", "", "has no rows"),
        ("rows.jsonl", '{"text": "a", "label": "b"}\n{"text": "c"}\n', "row 2 has no column 'label', it has text"),
        ("rows.jsonl", "[1]", "row 1: expected an object"),
        ("rows.csv", "label,text\na\n", "row 1 has no column 'text'"),
    ],
)
def test_a_file_that_does_not_fit_is_told(
    served: Served, servers: Path, tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    where = ("--servers", servers, "--port", str(served.server.port), "--model", MODEL)
    result = archives("evaluate", *where, "--file", tmp_path / name)
    assert result.returncode == 1
    assert said in result.stderr
