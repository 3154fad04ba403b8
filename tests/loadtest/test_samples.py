"""Requests from files and archives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtest.errors import LoadTestError
from loadtest.samples import Sample, read_golden, read_labels, read_texts
from tests.archives.mini_archive import write_archive


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_one_text_a_line(tmp_path: Path) -> None:
    samples = read_texts(written(tmp_path / "texts.txt", 'hello\n\n  {"text": 1}  \nline\u2028separator\n'))
    assert samples == [Sample({"text": text}, None) for text in ("hello", '{"text": 1}', "line\u2028separator")]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_json_holds_texts_requests_and_answers(tmp_path: Path, suffix: str) -> None:
    pair = {"request": {"text": "c"}, "response": {"label": "x", "score": 1.0}}
    entries = ["a", {"text": "b", "top_k": 1}, pair]
    content = json.dumps(entries) if suffix == ".json" else "\n".join(map(json.dumps, entries))
    assert read_texts(written(tmp_path / f"texts{suffix}", content)) == [
        Sample({"text": "a"}, None),
        Sample({"text": "b", "top_k": 1}, None),
        Sample({"text": "c"}, {"label": "x", "score": 1.0}),
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.txt", "\n \n", "empty"),
        ("t.json", '{"text": "a"}', "expected a list, got dict"),
        ("t.jsonl", '"a"\n{"text"', "t.jsonl"),
        ("t.jsonl", '"a"\n7', "entry 2: expected a text or an object, got int"),
        ("t.jsonl", '{"request": "a"}', "entry 1: request and response have to be objects"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_entry(tmp_path: Path, name: str, content: str, told: str) -> None:
    with pytest.raises(LoadTestError, match="--texts") as caught:
        read_texts(written(tmp_path / name, content))
    assert told in str(caught.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match=r"missing\.txt"):
        read_texts(tmp_path / "missing.txt")


def test_an_archive_gives_its_golden_requests(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, "echo")
    assert read_golden(archive) == [Sample({"text": "hello"}, {"label": "hello"})]
    assert read_labels(archive) is None


def test_a_missing_or_damaged_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match=r"no archive .*nobody\.mar.*--texts"):
        read_golden(tmp_path / "nobody.mar")
    assert read_labels(tmp_path / "nobody.mar") is None
    with pytest.raises(LoadTestError, match=r"broken\.mar is damaged"):
        read_golden(written(tmp_path / "broken.mar", "no zip"))
