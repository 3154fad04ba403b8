"""Requests from files and archives."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from archives.build import build_archive
from loadtest.errors import LoadTestError
from loadtest.plan import Job, Plan
from loadtest.samples import Sample, read_golden, read_labels, read_texts
from loadtest.squad import SAMPLE
from loadtest.stages import Stage
from loadtest.target import Target
from tests.support.mini_archive import write_archive


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


def squad(questions: int) -> str:
    """SQuAD's official format, ten questions a paragraph."""
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
    path.write_bytes(gzip.compress(squad(10 * SAMPLE).encode()))
    samples = read_texts(path)
    assert samples == read_texts(path)
    numbers = [int(sample.request["question"][1:-1]) for sample in samples]
    assert len(set(numbers)) == SAMPLE
    assert min(numbers) < SAMPLE < 9 * SAMPLE < max(numbers)
    pairs = zip(numbers, samples, strict=True)
    assert all(f" {number // 10 * 10} " in sample.request["context"] for number, sample in pairs)


def test_requests_for_answers_come_as_they_are_gzipped_too(tmp_path: Path) -> None:
    requests = [{"question": "Q?", "context": "C"}, {"context": "C", "questions": ["Q?", "R?"], "top_k": 2}]
    path = tmp_path / "requests.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, requests)).encode()))
    assert read_texts(path) == [Sample(request, None) for request in requests]


def test_a_job_comes_back_from_its_file(tmp_path: Path) -> None:
    samples = [Sample({"question": "Who?", "context": "Łódź 🎈"}, {"answer": "Łódź"}), Sample({"text": "t"}, None)]
    plans = [Plan(Target("http://host", "key"), "qa", samples, None), Plan(Target("http://host", None), "m", [], ["a"])]
    job = Job(plans, [0.25, 0.75], [Stage(10, 0.5), Stage(20, 3)], 5.0)
    job.write(tmp_path / "job.json")
    assert Job.read(tmp_path / "job.json") == job


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.txt", "\n \n", "empty"),
        ("t.json", '{"text": "a"}', "expected a list, or SQuAD's official format, got dict"),
        (
            "t.json",
            '{"data": [{"paragraphs": [{"context": "c"}]}]}',
            "not in SQuAD's official format (KeyError('qas'))",
        ),
        ("t.json", '{"data": 7}', "not in SQuAD's official format"),
        ("t.json", '{"data": []}', "empty"),
        ("t.jsonl", '"a"\n{"text"', "t.jsonl"),
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
def test_a_file_that_is_wrong_is_named_with_its_entry(tmp_path: Path, name: str, content: str, told: str) -> None:
    with pytest.raises(LoadTestError, match="--texts") as caught:
        read_texts(written(tmp_path / name, content))
    assert told in str(caught.value)


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
    with pytest.raises(LoadTestError, match=r"broken\.mar is damaged"):
        read_golden(written(tmp_path / "broken.mar", "no zip"))
