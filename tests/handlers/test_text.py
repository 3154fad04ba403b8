"""Packing, scores and tokenisation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from handlers.model import Limits, pack
from handlers.pipelines.classification import rank, softmax
from handlers.text.tokenization import CHARACTERS_PER_TOKEN, TextTokenizer
from handlers.text.windows import WindowTokenizer
from tests.support.tiny_export import MAX_LENGTH, tiny_tokenizer


@given(
    lengths=st.lists(st.integers(1, 512), max_size=200),
    limits=st.builds(Limits, st.integers(1, 4096), st.integers(1, 64), st.integers(1, 4096)),
)
def test_packing_keeps_every_row_and_the_limits(lengths: list[int], limits: Limits) -> None:
    batches = pack(lengths, limits)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        tokens = len(batch) * max(lengths[row] for row in batch)
        padding = tokens - sum(lengths[row] for row in batch)
        assert len(batch) == 1 or (len(batch) <= limits.rows and tokens <= limits.tokens and padding <= limits.padding)
    in_order = [lengths[row] for batch in batches for row in batch]
    assert in_order == sorted(lengths)


def test_rows_of_one_length_fill_the_micro_batches() -> None:
    assert [len(batch) for batch in pack([10] * 25, Limits(tokens=100, rows=32, padding=1))] == [10, 10, 5]


def test_a_longer_row_joins_as_long_as_its_padding_costs_less_than_a_run() -> None:
    lengths = [4, 5, 6, 9, 30]
    assert pack(lengths, Limits(tokens=256, rows=16, padding=8)) == [[0, 1, 2], [3], [4]]
    assert pack(lengths, Limits(tokens=256, rows=16, padding=12)) == [[0, 1, 2, 3], [4]]


def test_softmax_of_large_logits_is_finite() -> None:
    assert softmax(np.array([[1e4, 1e4, -1e4]], np.float32)).tolist() == [[0.5, 0.5, 0.0]]


def test_labels_are_ranked_by_score_and_keep_the_order_of_equals() -> None:
    logits = np.log(np.array([[0.2, 0.3, 0.3, 0.2]] * 2, np.float32))
    three, four = rank(logits, ["a", "b", "c", "d"], [3, 9])
    assert [entry["label"] for entry in three] == ["b", "c", "a"]
    assert [entry["label"] for entry in four] == ["b", "c", "a", "d"]
    assert [entry["score"] for entry in four] == pytest.approx([0.3, 0.3, 0.2, 0.2], abs=1e-6)


@pytest.fixture(scope="module")
def encoder(tiny_export: Path) -> TextTokenizer:
    return TextTokenizer((tiny_export / "tokenizer.json").read_text(encoding="utf-8"), MAX_LENGTH)


def test_stored_padding_and_truncation_are_replaced(encoder: TextTokenizer) -> None:
    short, long = encoder.tokenize(["hello", "hello " * 15])
    assert len(short.ids) == 3
    assert len(long.ids) == 17
    assert not short.truncated
    assert not long.truncated


def test_a_text_of_too_many_tokens_is_cut(encoder: TextTokenizer) -> None:
    fits, cut = encoder.tokenize(["hello " * (MAX_LENGTH - 2), "hello " * (MAX_LENGTH - 1)])
    assert fits.ids == cut.ids
    assert len(cut.ids) == MAX_LENGTH
    assert (fits.truncated, cut.truncated) == (False, True)


def test_characters_are_cut_before_tokens(encoder: TextTokenizer) -> None:
    limit = CHARACTERS_PER_TOKEN * MAX_LENGTH
    fits, cut = encoder.tokenize(["x" * limit, "x" * 1_000_000])
    assert fits.ids == cut.ids
    assert (fits.truncated, cut.truncated) == (False, True)


@given(texts=st.lists(st.text(st.characters(exclude_categories=("Cs",))), max_size=5))
def test_any_text_is_encoded(encoder: TextTokenizer, texts: list[str]) -> None:
    rows = encoder.tokenize(texts)
    assert len(rows) == len(texts)
    assert all(2 <= len(row.ids) <= MAX_LENGTH for row in rows)


CONTROLS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NAMED = "[CLS] hello [SEP] [PAD] [MASK]"


@pytest.fixture
def tokenizer() -> Tokenizer:
    """With special tokens that it looks for in texts, as that of any pretrained model."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens(CONTROLS)
    return tokenizer


def test_special_tokens_in_a_users_text_are_text(tokenizer: Tokenizer) -> None:
    pad, _, cls, sep, mask = map(tokenizer.token_to_id, CONTROLS)
    assert {pad, cls, sep, mask} <= set(tokenizer.encode(NAMED, add_special_tokens=False).ids)
    [row] = TextTokenizer(tokenizer.to_str(), 100).tokenize([NAMED])
    assert [one for one in row.ids if one in (pad, cls, sep, mask)] == [row.ids[0], row.ids[-1]] == [cls, sep]


def test_special_tokens_in_a_question_and_its_context_are_text(tokenizer: Tokenizer) -> None:
    """Else a context could end its window, and hide a part of itself from the model."""
    pad, _, cls, sep, mask = map(tokenizer.token_to_id, CONTROLS)
    encoder = WindowTokenizer(tokenizer.to_str())
    text, _ = encoder.first_tokens(NAMED, 60)
    [window] = encoder.windows(text, text)
    assert [one for one in window.ids if one in (pad, cls, sep, mask)] == [cls, sep, sep]
    assert "".join(NAMED[start:end] for start, end in text.offsets) == NAMED.replace(" ", "")
