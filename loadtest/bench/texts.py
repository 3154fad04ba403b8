"""Requests of given lengths, made of an archive's golden ones, as its own tokenizer counts them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, cycle, islice
from pathlib import Path

from tokenizers import Tokenizer

from handlers.pipelines.base import read_tokenizer
from loadtest.bench.archive import metadata
from loadtest.errors import LoadTestError
from loadtest.lengths import mixed
from loadtest.samples import Sample

NAMES = ("short", "mixed", "long")
# The field of a request that is made longer or shorter, and the tokens of a short and of a long one. A long context
# is more than the usual window holds.
TOKENS = {"text": {"short": 8, "long": 120}, "context": {"short": 64, "long": 600}}


def named(name: str, folder: Path, golden: Sequence[Sample]) -> list[Sample]:
    """Requests of one of `NAMES` for an unpacked archive.

    Mixed are the golden requests with their answers, and others as long as people write. The answers to made requests
    are not known: only their shape can be checked.

    Raises:
        LoadTestError: the golden requests hold neither texts nor contexts.
    """
    if name == "mixed":
        return [*golden, *mixed(golden)]
    return of_tokens(folder, golden, TOKENS[sized_field(golden)][name])


def of_tokens(folder: Path, golden: Sequence[Sample], tokens: int) -> list[Sample]:
    """The golden requests with texts (or contexts) of as many whole words as `tokens` hold, special ones counted.

    Texts are no longer than the model reads. Each starts with another golden one, so that none is like another.
    """
    field = sized_field(golden)
    longest = min(tokens, longest_of(folder, golden) or tokens)
    tokenizer = Tokenizer.from_str(read_tokenizer(folder))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts = [sample.request[field] for sample in golden]
    return [
        Sample(sample.request | {field: _cut(list(islice(words_from(texts, i), longest)), longest, tokenizer)}, None)
        for i, sample in enumerate(golden)
    ]


def longest_of(folder: Path, golden: Sequence[Sample]) -> int | None:
    """Tokens of the longest text that the model reads to its end; None for contexts, which are read in windows."""
    return int(metadata(folder)["max_length"]) if sized_field(golden) == "text" else None


def sized_field(golden: Sequence[Sample]) -> str:
    """Raises LoadTestError: the golden requests hold neither texts nor contexts."""
    for field in TOKENS:
        if all(isinstance(sample.request.get(field), str) for sample in golden):
            return field
    raise LoadTestError("the golden requests are no texts or contexts to make others of: give a file with --texts")


def words_from(texts: Sequence[str], first: int) -> Iterator[str]:
    """The words of all texts one after the other, from the `first` text on, without an end."""
    return cycle(chain.from_iterable(text.split() for text in (*texts[first:], *texts[:first])))


def _cut(words: Sequence[str], tokens: int, tokenizer: Tokenizer) -> str:
    """As many of the words as `tokens` hold, at least one."""
    counts = range(1, len(words) + 1)
    fitting = bisect_right(counts, tokens, key=lambda count: len(tokenizer.encode(" ".join(words[:count])).ids))
    return " ".join(words[: max(1, fitting)])
