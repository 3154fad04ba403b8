"""Turn questions and contexts into windows of token ids; training and serving share this code.

A context that does not fit beside its question is split into several windows. Neighboring windows share `doc_stride`
tokens, as in transformers' run_qa. A question is cut to `max_question_length` tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from tokenizers import Tokenizer

from handlers.text.tokenization import CHARACTERS_PER_TOKEN

# Characters of a long text to tokenize at once for each token needed; an ordinary token has fewer.
CHARACTERS_PER_PIECE = 8

Offsets = list[tuple[int, int]]


@dataclass(frozen=True)
class Tokens:
    """The token ids of a text, without special tokens, and the range of characters that each one covers."""

    ids: list[int]
    offsets: Offsets


@dataclass(frozen=True)
class Window:
    """One row of the model: `ids` is `[CLS] question [SEP] part of the context [SEP]`, without padding.

    `first` is the position in `ids` of the part's first token; `offsets` are the ranges of characters in the context,
    one for each token of the part.
    """

    ids: list[int]
    first: int
    offsets: Offsets


class WindowTokenizer:
    """Tokenize with the content of a `tokenizer.json`, ignoring its padding and truncation, and cut windows.

    Raises `ValueError` if windows could not advance: beside the longest question, `max_length` must leave room for
    `doc_stride` tokens and one more.
    """

    def __init__(
        self, tokenizer_json: str, max_length: int = 384, doc_stride: int = 128, max_question_length: int = 64
    ) -> None:
        self.max_length = max_length
        self.doc_stride = doc_stride
        self.max_question_length = max_question_length
        self._tokenizer = Tokenizer.from_str(tokenizer_json)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in a user's text is a text
        self._prefix, self._middle, self._suffix = _special_ids(self._tokenizer)
        special = len(self._prefix) + len(self._middle) + len(self._suffix)
        required = max_question_length + doc_stride + special + 1
        if max_length < required:
            raise ValueError(
                f"max_length is {max_length}, but a question of {max_question_length} tokens and doc_stride "
                f"{doc_stride} need {required}: raise max_length, or lower one of the others"
            )

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the tokens of each text, in order. The tokenizer raises an error for a text with a lone surrogate."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [Tokens(encoding.ids, encoding.offsets) for encoding in encodings]

    def first_tokens(self, text: str, limit: int) -> tuple[Tokens, bool]:
        """Return the first `limit` tokens of a text, and whether the text goes on after them.

        A far longer text is tokenized in pieces and not to its end, so that a megabyte costs little more than the
        tokens that are returned.
        """
        tokens = Tokens([], [])
        begin, last = 0, min(len(text), limit * CHARACTERS_PER_TOKEN)
        while begin < last and len(tokens.ids) <= limit:
            end = min(begin + limit * CHARACTERS_PER_PIECE, last)
            if end < last:
                end = text.rfind(" ", begin + 1, end) + 1 or end  # split at a space, if there is one
            [piece] = self.tokenize([text[begin:end]])
            tokens.ids.extend(piece.ids)
            tokens.offsets.extend((start + begin, stop + begin) for start, stop in piece.offsets)
            begin = end
        return Tokens(tokens.ids[:limit], tokens.offsets[:limit]), len(tokens.ids) > limit or begin < len(text)

    def windows(self, question: Tokens, context: Tokens) -> list[Window]:
        """Return one or more windows, which together hold every token of the context."""
        head = [*self._prefix, *question.ids[: self.max_question_length], *self._middle]
        room = self.max_length - len(head) - len(self._suffix)
        windows = []
        for start in count(0, room - self.doc_stride):
            end = start + room
            ids = [*head, *context.ids[start:end], *self._suffix]
            windows.append(Window(ids, len(head), context.offsets[start:end]))
            if end >= len(context.ids):
                return windows
        raise AssertionError  # count never ends


def _special_ids(tokenizer: Tokenizer) -> tuple[list[int], list[int], list[int]]:
    """Return the ids of the special tokens before, between and after the two texts of a pair."""
    probe = tokenizer.encode("a", "a")
    first = [i for i, sequence in enumerate(probe.sequence_ids) if sequence == 0]
    second = [i for i, sequence in enumerate(probe.sequence_ids) if sequence == 1]
    return probe.ids[: first[0]], probe.ids[first[-1] + 1 : second[0]], probe.ids[second[-1] + 1 :]
