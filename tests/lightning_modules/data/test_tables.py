"""Files of every format become the same rows, and every bad row is named."""

import datetime
import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pandas
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from lightning_modules.data.table_files import Columns
from lightning_modules.data.tables import read_hub_tables, read_table
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


@pytest.mark.parametrize(
    ("name", "lines", "fault"),
    [
        ("a.jsonl", ['{"text": "a", "label": "x"}', '{"text": "b", "la', '{"text": "c", "label": "y"}'], "not JSON"),
        ("a.jsonl", ['{"text": "a", "label": "x"}', "[1]", '{"text": "c", "label": "y"}'], "not an object"),
        (
            "a.jsonl",
            ['{"text": "a", "label": "x"}', r'{"text": "b\ud83d", "label": "x"}', '{"text": "c", "label": "y"}'],
            "wrong encoding (not UTF-8, or half of a surrogate pair)",
        ),
        (
            "a.json",
            ['[{"text": "a", "label": "x"},', '{"text": "b", "label": [1, 5]},', '{"text": "c", "label": "y"}]'],
            "label is a list: one value is needed",
        ),
        (
            "a.jsonl",
            ['{"text": "a", "label": "x"}', '{"text": {"en": "b"}, "label": "x"}', '{"text": "c", "label": "y"}'],
            "text is an object: one value is needed",
        ),
        (
            "a.csv",
            ["text,label", "a,x", "b, and more,x", "c,y"],
            "more fields than the header: quote texts that hold a separator",
        ),
        ("a.csv", ["text,label", "a,x", '"b,x', "c,y"], "a quote that does not close"),
        ("a.csv", ["text,label", "a,x", '"b,x', "c,y", 'd "e",y'], "a quote that does not close"),
        ("a.csv", ["text,label", "a,x", '"b" c,"x', "c,y"], "a quote that does not close"),
        ("a.tsv", ["text\tlabel", "a\tx", '"b\tx', "c\ty"], "a quote that does not close"),
        ("a.tsv", ["label\ttext", "x\ta", 'x\t"b', "y\tc"], "a quote that does not close"),
        ("a.tsv", ["text\tlabel", "a\tx", '"b\tx', "c\ty", '"d"\ty'], "a quote that does not close"),
    ],
)
def test_a_broken_row_costs_only_itself(tmp_path: Path, name: str, lines: list[str], fault: str) -> None:
    (tmp_path / name).write_text("\n".join(lines))
    with pytest.raises(UserError, match=re.escape(f"{name}: row 2: {fault}")):
        read_table(tmp_path / name, COLUMNS, "error")
    table = read_table(tmp_path / name, COLUMNS, "drop")
    assert list(table.rows["text"])[:2] == ["a", "c"]
    assert list(table.rows["label"])[:2] == ["x", "y"]
    assert table.dropped.total() == 1


def test_a_quote_within_a_field_belongs_to_it(tmp_path: Path) -> None:
    rows = '"Great" movie,x\nsay "hi" now,y\n"two\nlines, ""quoted""",z\n"a\nb" ,"x"\n"c\nd",y more\n'
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}")
    table = read_table(tmp_path / "a.csv", COLUMNS, "error").rows
    assert table["text"][:] == ["Great movie", 'say "hi" now', 'two\nlines, "quoted"', "a\nb ", "c\nd"]
    assert table["label"][:] == ["x", "y", "z", "x", "y more"]


def test_lines_before_the_header_may_be_blank(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n \ntext;label\na;x\n")
    assert read_table(tmp_path / "a.csv", COLUMNS, "error").rows["text"][:] == ["a"]


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_a_csv_may_be_separated_by_semicolons_or_tabs(tmp_path: Path, separator: str) -> None:
    lines = [["id", "text", "label"], ["1", '"a, b; c"', "x"], ["2", "plain", "y"]]
    (tmp_path / "a.csv").write_text("".join(separator.join(line) + "\n" for line in lines))
    table = read_table(tmp_path / "a.csv", COLUMNS, "error")
    assert list(zip(table.rows["text"], table.rows["label"], strict=True)) == [("a, b; c", "x"), ("plain", "y")]


def test_a_replacement_character_is_a_character(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", [{"text": "a \N{REPLACEMENT CHARACTER}", "label": "x"}])
    assert list(read_table(path, COLUMNS, "error").rows["text"]) == ["a \N{REPLACEMENT CHARACTER}"]


def test_what_other_columns_hold_does_not_matter(tmp_path: Path) -> None:
    """More than the ten million bytes from which a schema would be guessed stand before the first that differs."""
    first = [{"text": f"{i} " + "word " * 1000, "label": 1, "note": None, "size": 1} for i in range(2500)]
    last = {"text": "last", "label": "one", "note": "a", "size": "large", "new": 1}
    for ending in ("json", "jsonl"):
        table = read_table(written(tmp_path / f"mixed.{ending}", [*first, last]), COLUMNS, "error")
        assert table.rows["label"][:] == ["1"] * 2500 + ["one"]


def test_dates_in_json_stay_as_they_are_written(tmp_path: Path) -> None:
    path = written(tmp_path / "dates.jsonl", [{"text": "2024-01-02T03:04:05Z", "label": "2024-01-02"}])
    row = read_table(path, COLUMNS, "error").rows[0]
    assert (row["text"], row["label"]) == ("2024-01-02T03:04:05Z", "2024-01-02")


def test_rows_are_those_of_the_files_content_whatever_its_name_and_time(tmp_path: Path) -> None:
    path = written(tmp_path / "t[1].csv", [{"text": "a", "label": "x"}])
    written(tmp_path / "t1.csv", [{"text": "other", "label": "x"}])
    assert list(read_table(path, COLUMNS, "error").rows["text"]) == ["a"]
    before = path.stat()
    written(path, [{"text": "b", "label": "x"}])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert list(read_table(path, COLUMNS, "error").rows["text"]) == ["b"]


def test_a_long_text_and_an_empty_line_in_a_csv_are_read(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("text,label\n" + "word " * 50_000 + ",a\n\n \nb,x\n")
    assert list(map(len, read_table(tmp_path / "long.csv", COLUMNS, "error").rows["text"])) == [250_000, 1]


def test_binary_texts_of_a_parquet_file_are_decoded(tmp_path: Path) -> None:
    pandas.DataFrame({"text": ["été".encode(), b"plain"], "label": [b"a", "é".encode("latin-1")]}).to_parquet(
        tmp_path / "bytes.parquet"
    )
    with pytest.raises(UserError, match="row 2: wrong encoding"):
        read_table(tmp_path / "bytes.parquet", COLUMNS, "error")
    assert list(read_table(tmp_path / "bytes.parquet", COLUMNS, "drop").rows["text"]) == ["été"]


def test_lists_in_a_parquet_file_are_no_labels(tmp_path: Path) -> None:
    path = written(tmp_path / "lists.parquet", [{"text": "a", "label": [1, 5]}, {"text": "b", "label": [2]}])
    with pytest.raises(UserError, match="row 1: label is a list: one value is needed; row 2"):
        read_table(path, COLUMNS, "error")


@pytest.mark.parametrize(
    ("labels", "read"),
    [([1, 0, None], ["1", "0"]), ([1.5, 0, None], ["1.5", "0.0"]), ([1.0, float("inf"), None], ["1.0", "inf"])],
)
def test_integers_that_pandas_made_floats_for_a_missing_one_are_integers(
    tmp_path: Path, labels: list[Any], read: list[str]
) -> None:
    path = tmp_path / "missing.parquet"
    pandas.DataFrame({"text": ["a", "b", "c"], "label": labels}).to_parquet(path)
    assert list(read_table(path, COLUMNS, "drop").rows["label"]) == read
    path.rename(tmp_path / "train-00000-of-00001.parquet")  # a folder like the hub's
    assert list(read_hub_tables(str(tmp_path), COLUMNS, "drop")["train"].rows["label"]) == read


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
        ("empty.jsonl", b"", "has no rows"),
        ("comma.csv", b"text,label\nhello, world,a\n", "row 1: more fields than the header"),
        ("header.tsv", b'"text\tlabel\na\tb\n', "cannot be read as tsv: a quote that does not close"),
        ("broken.json", b'[{"text": "a", "label": "b"}, {"text": ', "cannot be read as json"),
        ("number.json", b"7", "cannot be read as json: expected a list of rows"),
        ("broken.csv.gz", b"not gzip", "cannot be read as csv"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / name, COLUMNS, "error")
