"""Test tokenization: truncation, stored settings and special tokens in users' texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from handlers.text.tokenization import CHARACTERS_PER_TOKEN, TextTokenizer
from handlers.text.windows import WindowTokenizer
from tests.support.tiny_export import MAX_LENGTH, tiny_tokenizer


@pytest.fixture(scope="module")
def text_tokenizer(tiny_export: Path) -> TextTokenizer:
    return TextTokenizer((tiny_export / "tokenizer.json").read_text(encoding="utf-8"), MAX_LENGTH)


def test_stored_padding_and_truncation_are_replaced(text_tokenizer: TextTokenizer) -> None:
    short, long = text_tokenizer.tokenize(["hello", "hello " * 15])
    assert len(short.ids) == 3
    assert len(long.ids) == 17
    assert not short.truncated
    assert not long.truncated


def test_a_text_of_too_many_tokens_is_cut(text_tokenizer: TextTokenizer) -> None:
    fits, cut = text_tokenizer.tokenize(["hello " * (MAX_LENGTH - 2), "hello " * (MAX_LENGTH - 1)])
    assert fits.ids == cut.ids
    assert len(cut.ids) == MAX_LENGTH
    assert (fits.truncated, cut.truncated) == (False, True)


def test_characters_are_cut_before_tokens(text_tokenizer: TextTokenizer) -> None:
    limit = CHARACTERS_PER_TOKEN * MAX_LENGTH
    fits, cut = text_tokenizer.tokenize(["x" * limit, "x" * 1_000_000])
    assert fits.ids == cut.ids
    assert (fits.truncated, cut.truncated) == (False, True)


@given(texts=st.lists(st.text(st.characters(exclude_categories=("Cs",))), max_size=5))
def test_any_text_is_encoded(text_tokenizer: TextTokenizer, texts: list[str]) -> None:
    rows = text_tokenizer.tokenize(texts)
    assert len(rows) == len(texts)
    assert all(2 <= len(row.ids) <= MAX_LENGTH for row in rows)


CONTROLS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NAMED = "[CLS] hello [SEP] [PAD] [MASK]"


@pytest.fixture
def tokenizer() -> Tokenizer:
    """Return a tokenizer that looks for special tokens in texts, as that of any pretrained model does."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens(CONTROLS)
    return tokenizer


def test_special_tokens_in_a_users_text_are_text(tokenizer: Tokenizer) -> None:
    pad, _, cls, sep, mask = map(tokenizer.token_to_id, CONTROLS)
    assert {pad, cls, sep, mask} <= set(tokenizer.encode(NAMED, add_special_tokens=False).ids)
    [row] = TextTokenizer(tokenizer.to_str(), 100).tokenize([NAMED])
    assert [one for one in row.ids if one in (pad, cls, sep, mask)] == [row.ids[0], row.ids[-1]] == [cls, sep]


def test_special_tokens_in_a_question_and_its_context_are_text(tokenizer: Tokenizer) -> None:
    """Otherwise a context could end its window, and hide a part of itself from the model."""
    pad, _, cls, sep, mask = map(tokenizer.token_to_id, CONTROLS)
    windows = WindowTokenizer(tokenizer.to_str())
    text, _ = windows.first_tokens(NAMED, 60)
    [window] = windows.windows(text, text)
    assert [one for one in window.ids if one in (pad, cls, sep, mask)] == [cls, sep, sep]
    assert "".join(NAMED[start:end] for start, end in text.offsets) == NAMED.replace(" ", "")
