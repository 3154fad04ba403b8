"""Files of every format become the same rows, and every bad row is named."""

import datetime
import gzip
import json
from pathlib import Path
from typing import Any

import pandas
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from lightning_modules.data.tables import Columns, read_table
from lightning_modules.errors import UserError

COLUMNS = Columns("text", "label", "complexity")
ROWS = [
    {"text": "NA", "label": "007", "complexity": "low"},
    {"text": 'say "hi", twice', "label": "1", "complexity": ""},
    {"text": "deux lignes\nété", "label": "null", "complexity": "high"},
]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    frame = pandas.DataFrame(rows)
    compression = "gzip" if path.suffix == ".gz" else None
    kind = path.suffixes[0]
    if kind == ".parquet":
        frame.to_parquet(path)
    elif kind in (".csv", ".tsv"):
        frame.to_csv(path, sep="\t" if kind == ".tsv" else ",", index=False, compression=compression)
    else:
        text = json.dumps(rows) if kind == ".json" else "".join(json.dumps(row) + "\n" for row in rows)
        path.write_bytes(gzip.compress(text.encode()) if compression else text.encode())
    return path


@pytest.mark.parametrize(
    "ending", ["csv", "tsv", "json", "jsonl", "parquet", "csv.gz", "tsv.gz", "json.gz", "jsonl.gz"]
)
def test_every_format_gives_the_same_strings(tmp_path: Path, ending: str) -> None:
    table = read_table(written(tmp_path / f"data.{ending}", ROWS), COLUMNS, "error")
    assert [{name: row[name] for name in ROWS[0]} for row in table.rows] == ROWS
    assert table.rows["row"][:] == [1, 2, 3]


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("labels", "read"), [([1, 0], ["1", "0"]), ([True, False], ["True", "False"]), ([0.5, 2.25], ["0.5", "2.25"])]
)
def test_labels_of_other_types_become_strings(tmp_path: Path, ending: str, labels: list[Any], read: list[str]) -> None:
    path = written(tmp_path / f"data.{ending}", [{"text": "a", "label": label} for label in labels])
    assert list(read_table(path, COLUMNS, "error").rows["label"]) == read


def test_json_labels_of_mixed_types_and_dates_become_strings(tmp_path: Path) -> None:
    path = written(tmp_path / "data.jsonl", [{"text": "a", "label": 1}, {"text": "b", "label": "y"}])
    assert list(read_table(path, COLUMNS, "error").rows["label"]) == ["1", "y"]
    frame = pandas.DataFrame({"text": ["a"], "label": [datetime.date(2024, 1, 2)]})
    frame.to_parquet(tmp_path / "dates.parquet")
    assert list(read_table(tmp_path / "dates.parquet", COLUMNS, "error").rows["label"]) == ["2024-01-02"]


def test_class_labels_of_a_data_set_keep_their_names(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features).to_parquet(tmp_path / "named.parquet")
    assert list(read_table(tmp_path / "named.parquet", COLUMNS, "error").rows["label"]) == ["pos", "neg"]


def test_a_missing_number_is_a_missing_label(tmp_path: Path) -> None:
    path = written(tmp_path / "data.parquet", [{"text": "a", "label": 1.0}, {"text": "b", "label": float("nan")}])
    with pytest.raises(UserError, match="row 2: missing label"):
        read_table(path, COLUMNS, "error")


def test_bad_rows_are_named_by_file_and_row(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.csv", [*ROWS, {"text": "  ", "label": "a"}, {"text": "x", "label": ""}])
    with pytest.raises(UserError, match=r"bad\.csv: row 4: empty text; row 5: missing label\. .*bad_rows=drop"):
        read_table(path, COLUMNS, "error")


def test_bad_rows_can_be_dropped_and_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.csv", [*ROWS, {"text": "  ", "label": "a"}, {"text": "x", "label": ""}])
    table = read_table(path, COLUMNS, "drop")
    assert len(table.rows) == 3
    assert table.dropped == {"empty text": 1, "missing label": 1}


def test_a_file_in_another_encoding_is_named_by_row(tmp_path: Path) -> None:
    contents = {
        "csv": "text,label\nplain,a\nété,b\n",
        "jsonl": '{"text":"plain","label":"a"}\n{"text":"été","label":"b"}\n',
    }
    for ending, content in contents.items():
        path = tmp_path / f"latin.{ending}"
        path.write_bytes(content.encode("latin-1"))
        with pytest.raises(UserError, match=rf"latin\.{ending}: row 2: wrong encoding"):
            read_table(path, COLUMNS, "error")


def test_a_missing_column_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    path = written(tmp_path / "data.csv", [{"question": "x", "category": "y"}])
    with pytest.raises(UserError, match=r"no column 'text': set --data\.text_column to one of question, category"):
        read_table(path, COLUMNS, "error")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "does not exist"),
        ("data.xlsx", b"x", "unknown format '.xlsx'"),
        ("empty.csv", b"", "cannot be read as csv"),
        ("header.csv", b"text,label\n", "has no rows"),
        ("empty.jsonl", b"", "cannot be read as jsonl"),
        ("comma.csv", b"text,label\nhello, world,a\n", "row 1 has more fields than the header"),
        ("broken.jsonl", b'{"text": "a", "label": "b"}\n{"text": ', "cannot be read as jsonl"),
        ("broken.csv.gz", b"not gzip", "cannot be read as csv"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / name, COLUMNS, "error")
