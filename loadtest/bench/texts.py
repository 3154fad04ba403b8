"""Makes requests of asked lengths from an archive's golden ones, in tokens of its own tokenizer or in words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, cycle, islice
from pathlib import Path

from tokenizers import Tokenizer

from handlers.pipelines.base import read_tokenizer
from loadtest.bench.archive import metadata
from loadtest.errors import LoadTestError
from loadtest.samples import Sample, mixed

NAMES = ("short", "mixed", "long")
# Tokens of short and long texts, by the field of a request that is resized. A long context is more than the usual
# window holds.
TOKENS = {"text": {"short": 8, "long": 120}, "context": {"short": 64, "long": 600}}
# Different questions of `contexts_of`, each on a context that starts elsewhere.
QUESTIONS = 8


def named(name: str, folder: Path, golden: Sequence[Sample]) -> list[Sample]:
    """Return requests of one of `NAMES` for an unpacked archive.

    `mixed` gives the golden requests with their answers, and others as long as people write. The answers to made
    requests are not known: only their shape can be checked.

    Raises:
        LoadTestError: the golden requests hold neither texts nor contexts.
    """
    if name == "mixed":
        return [*golden, *mixed(golden)]
    return of_tokens(folder, golden, TOKENS[sized_field(golden)][name])


def of_tokens(folder: Path, golden: Sequence[Sample], tokens: int) -> list[Sample]:
    """Return golden requests with texts (or contexts) of as many whole words as `tokens` hold, special ones counted.

    Texts are no longer than the model reads. Each starts with another golden one, so that none is like another.
    """
    field = sized_field(golden)
    longest = min(tokens, max_tokens(folder, golden) or tokens)
    tokenizer = Tokenizer.from_str(read_tokenizer(folder))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts = [sample.request[field] for sample in golden]
    return [
        Sample(sample.request | {field: _cut(list(islice(words_from(texts, i), longest)), longest, tokenizer)}, None)
        for i, sample in enumerate(golden)
    ]


def contexts_of(golden: Sequence[Sample], words: int) -> list[Sample]:
    """Return `QUESTIONS` of the golden questions, each on a context of so many words.

    Raises:
        LoadTestError: the golden requests have no contexts.
    """
    if not all("context" in sample.request for sample in golden):
        raise LoadTestError("the model's golden requests have no contexts: only question answering is measured")
    contexts = [sample.request["context"] for sample in golden]
    questions = [sample.request["question"] for sample in golden[:QUESTIONS]]
    return [
        Sample({"question": question, "context": " ".join(islice(words_from(contexts, i), words))}, None)
        for i, question in enumerate(questions)
    ]


def max_tokens(folder: Path, golden: Sequence[Sample]) -> int | None:
    """Return the tokens of the longest text that the model reads to its end; None for contexts, read in windows."""
    return int(metadata(folder)["max_length"]) if sized_field(golden) == "text" else None


def sized_field(golden: Sequence[Sample]) -> str:
    """Return the field that is resized; raise LoadTestError where the requests hold neither texts nor contexts."""
    for field in TOKENS:
        if all(isinstance(sample.request.get(field), str) for sample in golden):
            return field
    raise LoadTestError("the golden requests are no texts or contexts to make others of: give a file with --texts")


def words_from(texts: Sequence[str], first: int) -> Iterator[str]:
    """Yield the words of all texts one after the other, from the `first` text on, without an end."""
    return cycle(chain.from_iterable(text.split() for text in (*texts[first:], *texts[:first])))


def _cut(words: Sequence[str], tokens: int, tokenizer: Tokenizer) -> str:
    """Return as many of the words as `tokens` hold, at least one."""
    counts = range(1, len(words) + 1)
    fitting = bisect_right(counts, tokens, key=lambda count: len(tokenizer.encode(" ".join(words[:count])).ids))
    return " ".join(words[: max(1, fitting)])
