"""Turn texts into token ids, the same way in training and in serving.

Nothing is normalised outside the tokenizer. A text longer than `CHARACTERS_PER_TOKEN * max_length` characters is cut to
that length before it is tokenized, so that a megabyte costs no more than a page; what remains is cut to `max_length`
tokens, special tokens included. Either cut makes `truncated` true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tokenizers import Tokenizer

# English WordPiece text has 4-5 characters a token, so this cut is far behind the one by tokens for any real text.
CHARACTERS_PER_TOKEN = 32


class Encoding(NamedTuple):
    """Token ids with special tokens, without padding."""

    ids: list[int]
    truncated: bool


class TextTokenizer:
    """Tokenizes with a `tokenizer.json` (its text), without stored padding, truncated to `max_length` tokens."""

    def __init__(self, tokenizer_json: str, max_length: int) -> None:
        self.max_length = max_length
        self.max_characters = CHARACTERS_PER_TOKEN * max_length
        self._tokenizer = Tokenizer.from_str(tokenizer_json)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in a user's text is a text

    def tokenize(self, texts: Sequence[str]) -> list[Encoding]:
        """Return one encoding a text, in order. A text with a lone surrogate raises what the tokenizer raises."""
        encodings = self._tokenizer.encode_batch_fast([text[: self.max_characters] for text in texts])
        return [
            Encoding(encoding.ids, bool(encoding.overflowing) or len(text) > self.max_characters)
            for text, encoding in zip(texts, encodings, strict=True)
        ]
