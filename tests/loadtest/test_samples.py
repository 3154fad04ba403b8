"""Test the requests that files and archives give."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from archives.build import build_archive
from loadtest.errors import LoadTestError
from loadtest.samples import MAX_QUESTIONS, Sample, mixed, read_golden, read_labels, read_texts
from loadtest.stages import Stage
from loadtest.target import Target
from loadtest.workload import RequestSet, Workload
from tests.support.mini_archive import write_archive


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    return path


def test_a_text_file_gives_a_text_for_each_line(tmp_path: Path) -> None:
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


def squad(questions: int) -> str:
    """Return this many questions in SQuAD's official format, ten a paragraph."""
    paragraphs = [
        {
            "context": f"Context {first} 🎈.",
            "qas": [{"id": f"{i}", "question": f"Q{i}?", "answers": []} for i in range(first, first + 10)],
        }
        for first in range(0, questions, 10)
    ]
    half = len(paragraphs) // 2
    articles = [{"title": "t", "paragraphs": part} for part in (paragraphs[:half], paragraphs[half:])]
    return json.dumps({"version": "1.1", "data": articles})


def test_squad_gives_its_questions_with_their_contexts(tmp_path: Path) -> None:
    samples = read_texts(written(tmp_path / "squad.json", squad(20)))
    assert samples == [
        Sample({"question": f"Q{i}?", "context": f"Context {i // 10 * 10} 🎈."}, None) for i in range(20)
    ]


def test_a_large_squad_gives_the_same_questions_of_all_its_parts_each_time(tmp_path: Path) -> None:
    path = tmp_path / "squad.json.gz"
    path.write_bytes(gzip.compress(squad(10 * MAX_QUESTIONS).encode()))
    samples = read_texts(path)
    assert samples == read_texts(path)
    numbers = [int(sample.request["question"][1:-1]) for sample in samples]
    assert len(set(numbers)) == MAX_QUESTIONS
    assert min(numbers) < MAX_QUESTIONS < 9 * MAX_QUESTIONS < max(numbers)
    pairs = zip(numbers, samples, strict=True)
    assert all(f" {number // 10 * 10} " in sample.request["context"] for number, sample in pairs)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_labelled_texts_are_read_as_for_training_without_their_labels(tmp_path: Path, suffix: str) -> None:
    rows = [{"label": "x", "text": 'say "hello, there"'}, {"label": "y", "text": "two\nlines"}]
    path = tmp_path / f"texts{suffix}"
    if suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["label", "text"], delimiter="\t" if suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    assert read_texts(path) == [Sample({"text": row["text"]}, None) for row in rows]


def test_flat_questions_become_requests_without_their_answers(tmp_path: Path) -> None:
    row = {"id": "1", "question": "Q?", "context": "C is.", "answers": {"text": ["C"], "answer_start": [0]}}
    path = written(tmp_path / "questions.jsonl", json.dumps(row) + "\n")
    assert read_texts(path) == [Sample({"question": "Q?", "context": "C is."}, None)]


def test_requests_in_json_are_sent_unchanged_gzipped_too(tmp_path: Path) -> None:
    requests = [{"question": "Q?", "context": "C"}, {"context": "C", "questions": ["Q?", "R?"], "top_k": 2}]
    path = tmp_path / "requests.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, requests)).encode()))
    assert read_texts(path) == [Sample(request, None) for request in requests]


def test_a_workload_comes_back_from_its_file(tmp_path: Path) -> None:
    samples = [Sample({"question": "Who?", "context": "Łódź 🎈"}, {"answer": "Łódź"}), Sample({"text": "t"}, None)]
    target = Target("http://host", "key")
    sets = [RequestSet(target, "qa", samples, None), RequestSet(Target("http://host", None), "m", [], ["a"])]
    workload = Workload(sets, [0.25, 0.75], [Stage(10, 0.5), Stage(20, 3)], 5.0)
    workload.write(tmp_path / "workload.json")
    assert Workload.read(tmp_path / "workload.json") == workload


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", "\n \n", "empty"),
        ("t.json", '{"text": "a"}', "expected a list, or SQuAD's official format, got dict"),
        (
            "t.json",
            '{"data": [{"paragraphs": [{"context": "c"}]}]}',
            "data[0].paragraphs[0]: no list of qas",
        ),
        ("t.json", '{"data": 7}', "expected SQuAD's"),
        ("t.json", '{"data": []}', "has no questions"),
        ("t.jsonl", '"a"\n{"text"', "t.jsonl, entry 2: not JSON"),
        ("t.csv", "headline\nhello\n", "has no column 'text', it has headline"),
        ("t.txt", "hello \udcff\n", "entry 1: wrong encoding"),
        ("t.json.gz", "[]", "t.json.gz"),
        ("t.jsonl", '"a"\n7', "entry 2: expected a text or an object, got int"),
        ("t.jsonl", '{"request": "a"}', "entry 1: request and response have to be objects"),
        (
            "t.jsonl",
            '{"request": {"text": "a"}, "response": {}, "fp32": 1}',
            "entry 1: request and response have to be",
        ),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_entry(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(LoadTestError, match="--texts") as caught:
        read_texts(written(tmp_path / name, content))
    assert message in str(caught.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match=r"missing\.txt"):
        read_texts(tmp_path / "missing.txt")


def test_an_archive_gives_its_golden_requests(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, "echo")
    assert read_golden(archive) == [Sample({"text": "hello"}, {"label": "hello", "score": 1.0})]
    assert read_labels(archive) is None


def test_golden_requests_come_with_both_answers(tiny_runs: Path, tmp_path: Path) -> None:
    golden = json.loads((tiny_runs / "tiny" / "export" / "golden.json").read_text(encoding="utf-8"))
    both = [Sample(pair["request"], pair["response"], pair["fp32"]) for pair in golden]
    assert read_golden(build_archive("tiny", tiny_runs, tmp_path)) == both
    assert read_texts(tiny_runs / "tiny" / "export" / "golden.json") == both


def test_a_missing_or_damaged_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match=r"no archive .*nobody\.mar.*--texts"):
        read_golden(tmp_path / "nobody.mar")
    assert read_labels(tmp_path / "nobody.mar") is None
    with pytest.raises(LoadTestError, match=r"broken\.mar is not a usable archive"):
        read_golden(written(tmp_path / "broken.mar", "no zip"))


GOLDEN = [Sample({"text": f"text number {i} says this"}, {"label": "a"}) for i in range(32)]


def test_many_texts_are_short_and_some_are_long() -> None:
    samples = mixed(GOLDEN)
    words = [len(sample.request["text"].split()) for sample in samples]
    assert 9 <= np.median(words) <= 16
    assert 40 <= np.percentile(words, 95) <= 90
    assert samples == mixed(GOLDEN)
    assert all(sample.expected is None for sample in samples)


def test_contexts_are_longer_than_their_questions_which_stay() -> None:
    golden = [Sample({"question": "Who came?", "context": "Ana came to the house.", "top_k": 2}, None)]
    samples = mixed(golden)
    assert {sample.request["question"] for sample in samples} == {"Who came?"}
    words = [len(sample.request["context"].split()) for sample in samples]
    assert 90 <= np.median(words) <= 150
    assert max(words) <= 2000
