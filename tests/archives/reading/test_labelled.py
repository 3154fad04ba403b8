"""Test the readers of labelled files: every format gives the same rows, and every bad row is named."""

import datetime
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pandas
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from archives.reading.files import DataError, all_good
from archives.reading.labelled import LabelledRow, labelled_rows
from archives.reading.options import ReadOptions

OPTIONS = ReadOptions("text", "label", "complexity")
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


def read(path: Path) -> list[LabelledRow]:
    return all_good(path, labelled_rows(path, OPTIONS))


def usable(path: Path) -> list[LabelledRow]:
    """Return the rows that remain when bad rows are dropped."""
    return [row for row in labelled_rows(path, OPTIONS) if not row.problem]


@pytest.mark.parametrize(
    "ending", ["csv", "tsv", "json", "jsonl", "parquet", "csv.gz", "tsv.gz", "json.gz", "jsonl.gz"]
)
def test_every_format_gives_the_same_strings(tmp_path: Path, ending: str) -> None:
    rows = read(written(tmp_path / f"data.{ending}", ROWS))
    assert rows == [LabelledRow(i, *row.values()) for i, row in enumerate(ROWS, 1)]


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("labels", "strings"), [([1, 0], ["1", "0"]), ([True, False], ["True", "False"]), ([0.5, 2.25], ["0.5", "2.25"])]
)
def test_labels_of_other_types_become_strings(
    tmp_path: Path, ending: str, labels: list[Any], strings: list[str]
) -> None:
    path = written(tmp_path / f"data.{ending}", [{"text": "a", "label": label} for label in labels])
    assert [row.label for row in read(path)] == strings


def test_json_labels_of_mixed_types_and_dates_become_strings(tmp_path: Path) -> None:
    path = written(tmp_path / "data.jsonl", [{"text": "a", "label": 1}, {"text": "b", "label": "y"}])
    assert [row.label for row in read(path)] == ["1", "y"]
    frame = pandas.DataFrame({"text": ["a"], "label": [datetime.date(2024, 1, 2)]})
    frame.to_parquet(tmp_path / "dates.parquet")
    assert [row.label for row in read(tmp_path / "dates.parquet")] == ["2024-01-02"]


def test_class_labels_of_a_data_set_keep_their_names(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features).to_parquet(tmp_path / "named.parquet")
    assert [row.label for row in read(tmp_path / "named.parquet")] == ["pos", "neg"]


def test_a_missing_number_is_a_missing_label(tmp_path: Path) -> None:
    path = written(tmp_path / "data.parquet", [{"text": "a", "label": 1.0}, {"text": "b", "label": float("nan")}])
    with pytest.raises(DataError, match="row 2: missing label"):
        read(path)


def test_bad_rows_are_named_by_file_and_row(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.csv", [*ROWS, {"text": "  ", "label": "a"}, {"text": "x", "label": ""}])
    with pytest.raises(DataError, match=r"bad\.csv: row 4: empty text; row 5: missing label\. Correct or remove them"):
        read(path)


@pytest.mark.parametrize(
    ("name", "lines", "message"),
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
def test_a_broken_row_is_the_only_one_lost(tmp_path: Path, name: str, lines: list[str], message: str) -> None:
    (tmp_path / name).write_text("\n".join(lines))
    with pytest.raises(DataError, match=re.escape(f"{name}: row 2: {message}")):
        read(tmp_path / name)
    rows = list(labelled_rows(tmp_path / name, OPTIONS))
    good = [(row.text, row.label) for row in rows if not row.problem]
    assert good[:2] == [("a", "x"), ("c", "y")]
    assert len(rows) == len(good) + 1


def test_a_quote_within_a_field_belongs_to_it(tmp_path: Path) -> None:
    rows = '"Great" movie,x\nsay "hi" now,y\n"two\nlines, ""quoted""",z\n"a\nb" ,"x"\n"c\nd",y more\n'
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}")
    table = read(tmp_path / "a.csv")
    assert [row.text for row in table] == ["Great movie", 'say "hi" now', 'two\nlines, "quoted"', "a\nb ", "c\nd"]
    assert [row.label for row in table] == ["x", "y", "z", "x", "y more"]


def test_lines_before_the_header_may_be_blank(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n \ntext;label\na;x\n")
    assert [row.text for row in read(tmp_path / "a.csv")] == ["a"]


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_a_csv_may_be_separated_by_semicolons_or_tabs(tmp_path: Path, separator: str) -> None:
    lines = [["id", "text", "label"], ["1", '"a, b; c"', "x"], ["2", "plain", "y"]]
    (tmp_path / "a.csv").write_text("".join(separator.join(line) + "\n" for line in lines))
    assert [(row.text, row.label) for row in read(tmp_path / "a.csv")] == [("a, b; c", "x"), ("plain", "y")]


def test_a_replacement_character_is_a_character(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", [{"text": "a \N{REPLACEMENT CHARACTER}", "label": "x"}])
    assert [row.text for row in read(path)] == ["a \N{REPLACEMENT CHARACTER}"]


def test_the_content_of_other_columns_does_not_matter(tmp_path: Path) -> None:
    """Put the first differing value behind more than the ten million bytes from which a schema would be inferred."""
    first = [{"text": f"{i} " + "word " * 1000, "label": 1, "note": None, "size": 1} for i in range(2500)]
    last = {"text": "last", "label": "one", "note": "a", "size": "large", "new": 1}
    for ending in ("json", "jsonl"):
        rows = read(written(tmp_path / f"mixed.{ending}", [*first, last]))
        assert [row.label for row in rows] == ["1"] * 2500 + ["one"]


def test_dates_in_json_keep_their_spelling(tmp_path: Path) -> None:
    path = written(tmp_path / "dates.jsonl", [{"text": "2024-01-02T03:04:05Z", "label": "2024-01-02"}])
    (row,) = read(path)
    assert (row.text, row.label) == ("2024-01-02T03:04:05Z", "2024-01-02")


def test_a_long_text_and_an_empty_line_in_a_csv_are_read(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("text,label\n" + "word " * 50_000 + ",a\n\n \nb,x\n")
    assert [len(row.text) for row in read(tmp_path / "long.csv")] == [250_000, 1]


def test_binary_texts_of_a_parquet_file_are_decoded(tmp_path: Path) -> None:
    pandas.DataFrame({"text": ["été".encode(), b"plain"], "label": [b"a", "é".encode("latin-1")]}).to_parquet(
        tmp_path / "bytes.parquet"
    )
    with pytest.raises(DataError, match="row 2: wrong encoding"):
        read(tmp_path / "bytes.parquet")
    assert [row.text for row in usable(tmp_path / "bytes.parquet")] == ["été"]


def test_lists_in_a_parquet_file_are_no_labels(tmp_path: Path) -> None:
    path = written(tmp_path / "lists.parquet", [{"text": "a", "label": [1, 5]}, {"text": "b", "label": [2]}])
    with pytest.raises(DataError, match="row 1: label is a list: one value is needed; row 2"):
        read(path)


@pytest.mark.parametrize(
    ("labels", "strings"),
    [([1, 0, None], ["1", "0"]), ([1.5, 0, None], ["1.5", "0.0"]), ([1.0, float("inf"), None], ["1.0", "inf"])],
)
def test_integers_that_pandas_made_floats_for_a_missing_one_are_integers(
    tmp_path: Path, labels: list[Any], strings: list[str]
) -> None:
    path = tmp_path / "missing.parquet"
    pandas.DataFrame({"text": ["a", "b", "c"], "label": labels}).to_parquet(path)
    assert [row.label for row in usable(path)] == strings


def test_a_file_in_another_encoding_is_named_by_row(tmp_path: Path) -> None:
    contents = {
        "csv": "text,label\nplain,a\nété,b\n",
        "jsonl": '{"text":"plain","label":"a"}\n{"text":"été","label":"b"}\n',
    }
    for ending, content in contents.items():
        path = tmp_path / f"latin.{ending}"
        path.write_bytes(content.encode("latin-1"))
        with pytest.raises(DataError, match=rf"latin\.{ending}: row 2: wrong encoding"):
            read(path)


def test_a_missing_column_is_reported_with_the_existing_ones(tmp_path: Path) -> None:
    path = written(tmp_path / "data.csv", [{"question": "x", "category": "y"}])
    with pytest.raises(DataError, match=r"no column 'text': set --data\.text_column to one of question, category"):
        read(path)


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
    with pytest.raises(DataError, match=message):
        read(tmp_path / name)
