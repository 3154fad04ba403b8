"""Test texts and contexts of a requested number of tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from archives.build import build_archive
from loadtest.bench.archive import load_pipeline, unpack
from loadtest.bench.measure import rows_of
from loadtest.bench.texts import NAMES, named, of_tokens
from loadtest.errors import LoadTestError
from loadtest.samples import Sample, read_golden
from tests.support.tiny_export import MAX_LENGTH

Model = tuple[Path, list[Sample]]


@pytest.fixture(scope="module")
def texts(tiny_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return unpacked(build_archive("tiny", tiny_runs, tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def questions(tiny_qa_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return unpacked(build_archive("tiny_qa", tiny_qa_runs, tmp_path_factory.mktemp("store")))


def unpacked(archive: Path) -> Model:
    unpack(archive, archive.parent / "model")
    return archive.parent / "model", read_golden(archive)


@pytest.mark.parametrize("tokens", [4, 8, 16, MAX_LENGTH])
def test_texts_have_as_many_tokens_as_whole_words_allow(texts: Model, tokens: int) -> None:
    folder, golden = texts
    samples = of_tokens(folder, golden, tokens)
    assert len(samples) == len({sample.request["text"] for sample in samples}) == len(golden)
    # A word of the golden texts is one token, or two with the punctuation after it.
    assert {len(row) for row in rows_of(folder, samples)} <= {tokens - 1, tokens}
    for sample, one in zip(samples, golden, strict=True):
        words = zip(sample.request["text"].split(), one.request["text"].split(), strict=False)
        assert all(word == of_golden for word, of_golden in words)


def test_texts_are_no_longer_than_the_model_reads(texts: Model) -> None:
    folder, golden = texts
    samples = of_tokens(folder, golden, 10 * MAX_LENGTH)
    answers = load_pipeline(folder).predict([sample.request for sample in samples])
    assert not any("truncated" in answer for answer in answers)
    assert samples == of_tokens(folder, golden, MAX_LENGTH)


def test_contexts_have_the_requested_length_and_their_question(questions: Model) -> None:
    folder, golden = questions
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for sample, one in zip(of_tokens(folder, golden, 200), golden, strict=True):
        assert sample.request["question"] == one.request["question"]
        assert 198 <= len(tokenizer.encode(sample.request["context"]).ids) <= 200


def test_mixed_texts_are_the_golden_ones_with_their_answers_and_longer_ones(texts: Model) -> None:
    folder, golden = texts
    samples = named("mixed", folder, golden)
    assert samples[: len(golden)] == golden
    made = [sample for sample in samples if sample.expected is None]
    assert len(made) == len(samples) - len(golden)
    assert max(map(len, (row for row in rows_of(folder, made)))) == MAX_LENGTH


def test_names_are_lengths_in_rising_order(questions: Model) -> None:
    folder, golden = questions
    short, mixed, long = (
        sum(map(len, rows)) / len(samples)
        for samples in (named(name, folder, golden) for name in NAMES)
        for rows in [rows_of(folder, samples)]
    )
    assert short < mixed < long


def test_requests_of_another_form_are_refused(texts: Model) -> None:
    several = [Sample({"instances": [{"text": "a"}]}, None)]
    with pytest.raises(LoadTestError, match="no texts or contexts"):
        of_tokens(texts[0], several, 8)
