"""Test splits from files and from the hub: cached for the next run, without bad rows, or refused."""

import os
from pathlib import Path

import datasets
import huggingface_hub
import pandas
import pytest
from datasets import Dataset

from archives.reading.options import ReadOptions
from lightning_modules.data.sources import read_hub_questions, read_hub_texts, read_questions, read_texts
from lightning_modules.errors import UserError
from tests.support.squad_rows import CONTEXT, ROWS, answer, flat, written

OPTIONS = ReadOptions()
ADVICE = "Mend them, or drop and count them with --data.bad_rows=drop"


def test_bad_rows_are_refused_or_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("text,label\na,x\n  ,x\nb,\nc,y\n")
    with pytest.raises(UserError) as caught:
        read_texts(path, OPTIONS, "error")
    assert str(caught.value) == f"{path}: row 2: empty text; row 3: missing label. {ADVICE}"
    split = read_texts(path, OPTIONS, "drop")
    assert split.rows.remove_columns("complexity").to_list() == [
        {"row": 1, "text": "a", "label": "x"},
        {"row": 4, "text": "c", "label": "y"},
    ]
    assert split.dropped == {"empty text": 1, "missing label": 1}


def test_bad_questions_are_refused_or_dropped_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.json", [*ROWS, flat(id="q3", question=""), flat(id="q4", answers=answer())])
    with pytest.raises(UserError, match=r"question 'q3': empty question; question 'q4': no answer.*bad_rows=drop"):
        read_questions(path, "error")
    split = read_questions(path, "drop")
    assert list(split.rows) == ROWS
    assert split.dropped.total() == 2


def test_corrected_starts_are_counted_and_unknown_ones_let_through_where_they_are_not_used(tmp_path: Path) -> None:
    corrected, unknown = flat(id="once", answers=answer(3, text="1973")), flat(id="guess", answers=answer(3))
    path = written(tmp_path / "rows.json", [corrected, unknown])
    split = read_questions(path, "error", check_starts=False)
    assert [row["answers"]["answer_start"] for row in split.rows] == [[CONTEXT.index("1973")], [-1]]
    assert split.repaired == 1
    with pytest.raises(UserError, match="'guess'"):
        read_questions(path, "error")


def test_a_file_without_one_good_row_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.jsonl", [flat(id=f"q{i}", question="") for i in range(8)])
    with pytest.raises(UserError, match="no good row is left after dropping 8 bad ones"):
        read_questions(path, "drop")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(UserError, match="has no questions"):
        read_questions(tmp_path / "empty.jsonl", "drop")
    with pytest.raises(UserError, match="has no rows"):
        read_texts(tmp_path / "empty.jsonl", OPTIONS, "drop")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "does not exist"),
        ("a.xlsx", "", "unknown format '.xlsx'"),
        ("a.json", "7", "cannot be read as json: expected a list of rows"),
        ("a.csv", "question,label\na,b\n", r"no column 'text': set --data\.text_column to one of question, label"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_user_error(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read_texts(tmp_path / name, OPTIONS, "error")


def test_rows_are_those_of_the_files_content_whatever_its_name_and_time(tmp_path: Path) -> None:
    path = tmp_path / "t[1].csv"
    path.write_text("text,label\na,x\n")
    (tmp_path / "t1.csv").write_text("text,label\nother,x\n")
    first = read_texts(path, OPTIONS, "error").rows
    assert first["text"][:] == ["a"]
    before = path.stat()
    path.write_text("text,label\nb,x\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_texts(path, OPTIONS, "error").rows["text"][:] == ["b"]
    path.write_text("text,label\na,x\n")
    copy = read_texts(path.rename(tmp_path / "copy.csv"), OPTIONS, "error").rows
    assert copy.cache_files == first.cache_files != []


def test_the_suffix_decides_how_the_same_content_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,b\tlabel\na,c\tx\n")
    options = ReadOptions("text,b", "label")
    assert read_texts(path, options, "error").rows["text"][:] == ["a,c"]
    copy = path.rename(tmp_path / "rows.jsonl")
    with pytest.raises(UserError, match="row 1: not JSON"):
        read_texts(copy, options, "error")


def test_a_folder_in_hub_layout_gives_its_splits(tmp_path: Path) -> None:
    guessed = flat(id="guess", answers=answer(3))
    for split, rows in {"train": ROWS, "validation": [guessed]}.items():
        Dataset.from_list(rows).to_parquet(tmp_path / "hub" / "plain_text" / f"{split}-00000-of-00001.parquet")
    splits = read_hub_questions(str(tmp_path / "hub"))
    assert list(splits["train"].rows) == ROWS
    assert splits["val"].rows["answers"][0] == {"text": ["Paris"], "answer_start": [-1]}
    assert set(splits) == {"train", "val"}


def test_integers_that_pandas_made_floats_are_integers_in_a_data_set_too(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"text": ["a", "b", "c"], "label": [1, 0, None]})
    frame.to_parquet(tmp_path / "train-00000-of-00001.parquet")
    assert read_hub_texts(str(tmp_path), OPTIONS, "drop")["train"].rows["label"][:] == ["1", "0"]


def test_an_unreachable_hub_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"'nobody/squad' could not be loaded .*give files: --data\.train_file"
    ) as caught:
        read_hub_questions("nobody/squad")
    assert "\n" not in str(caught.value)
