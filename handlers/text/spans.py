"""Start and end logits of a question's windows to its best answers, the same way in training and in serving."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from handlers.text.windows import Window

Floats = NDArray[np.float32]
# Joins the characters around it into one; as do the marks of Unicode's categories Mn, Mc and Me with the one before.
ZERO_WIDTH_JOINER = "\u200d"
# Behind one character: the longest emoji, and scripts that stack vowels, have about ten.
MAX_MARKS = 32


@dataclass(frozen=True)
class Span:
    """Characters [start, end) of the context, and their probability."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Spans:
    """The best spans, the best first, each range once; empty where the context has no token.

    `no_answer_score` is the probability that the context does not answer.
    """

    spans: list[Span]
    no_answer_score: float


def best_spans(
    windows: Sequence[Window],
    start_logits: Sequence[Floats],
    end_logits: Sequence[Floats],
    *,
    n_best: int = 20,
    max_answer_tokens: int = 30,
    temperature: float = 1.0,
) -> Spans:
    """The `n_best` spans of at most `max_answer_tokens` context tokens over all windows of one question.

    Probabilities are a softmax over all allowed spans of all windows and no answer, their logits (`all_logits`) divided
    by `temperature`, which changes no order. A range that two windows hold is a span of its own in both; the better one
    is told.

    Args:
        start_logits, end_logits: of each window, [tokens].
        temperature: above 0; below 1, high probabilities become higher.
    """
    logits, no_answer = all_logits(windows, start_logits, end_logits, max_answer_tokens)
    highest = max([no_answer, *(float(window.max()) for window in logits if window.size)])
    parts = [np.exp((window - highest) / temperature, dtype=np.float64).sum() for window in logits]
    silent = np.exp((no_answer - highest) / temperature)
    total = silent + sum(parts)
    best: dict[tuple[int, int], float] = {}
    for window, values in zip(windows, logits, strict=True):
        for start, length, logit in _largest(values, n_best):
            characters = window.offsets[start][0], window.offsets[start + length][1]
            best[characters] = max(logit, best.get(characters, -np.inf))
    ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:n_best]
    spans = [Span(*characters, float(np.exp((logit - highest) / temperature) / total)) for characters, logit in ranked]
    return Spans(spans, float(silent / total))


def all_logits(
    windows: Sequence[Window], start_logits: Sequence[Floats], end_logits: Sequence[Floats], max_answer_tokens: int
) -> tuple[list[Floats], float]:
    """The logits of each window's allowed spans, [tokens, lengths] as by `span_logits`, and that of no answer.

    A span's logit is the sum of its start and end logit, that of no answer the sum at the first token, in the window
    where it is lowest, as in BERT's run_squad.
    """
    logits = [
        span_logits(start[_context(window)], end[_context(window)], max_answer_tokens)
        for window, start, end in zip(windows, start_logits, end_logits, strict=True)
    ]
    return logits, min(float(start[0]) + float(end[0]) for start, end in zip(start_logits, end_logits, strict=True))


def span_logits(start: Floats, end: Floats, max_answer_tokens: int) -> Floats:
    """[tokens] each -> [tokens, lengths]: at i, n stands the span from token i to token i + n; -inf past the end."""
    if not len(start):
        return np.empty((0, 0), np.float32)
    longest = min(max_answer_tokens, len(start))
    padded = np.concatenate([end, np.full(longest - 1, -np.inf, np.float32)])
    return start[:, None] + sliding_window_view(padded, longest)


def extended(context: str, end: int) -> int:
    """`end` moved behind the marks that belong to the character before it, `MAX_MARKS` at most.

    The tokenizer drops combining marks, so no token's range holds them.
    """
    last = min(end + MAX_MARKS, len(context))
    while 0 < end < last and _belongs(context[end - 1], context[end]):
        end += 1
    return end


def _belongs(before: str, character: str) -> bool:
    if ZERO_WIDTH_JOINER in (before, character):
        return True
    return unicodedata.category(character) in ("Mn", "Mc", "Me")


def _context(window: Window) -> slice:
    return slice(window.first, window.first + len(window.offsets))


def _largest(logits: Floats, count: int) -> list[tuple[int, int, float]]:
    """Row, column and value of the `count` highest finite values."""
    flat = logits.ravel()
    count = min(count, flat.size)
    if not count:
        return []
    indices = np.argpartition(flat, flat.size - count)[flat.size - count :]
    rows, columns = np.divmod(indices, logits.shape[1])
    values = flat[indices].tolist()
    triples = zip(rows.tolist(), columns.tolist(), values, strict=True)
    return [triple for triple in triples if np.isfinite(triple[2])]
