"""Find the best answers in the logits of a question's windows, the same way in training and in serving."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from handlers.text.windows import Window

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
# Joins the characters around it into one; as do the marks of Unicode's categories Mn, Mc and Me with the one before.
ZERO_WIDTH_JOINER = "\u200d"
# Characters that belong to the one before as marks do: the zero width non-joiner, skin tones, and the letters of a
# flag's region.
ATTACHED = re.compile("[\u200c\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
# Marks that are looked at on one character: the longest emoji, and scripts that stack vowels, have about ten.
MAX_MARKS = 32


@dataclass(frozen=True)
class Span:
    """Characters [start, end) of the context, and their probability."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Spans:
    """The best spans, the best first, each range of characters once; empty where the context has no token.

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
    """Return the `n_best` spans of at most `max_answer_tokens` context tokens over all windows of one question.

    Probabilities are a softmax over all allowed spans of all windows and no answer, their logits (`all_logits`) divided
    by `temperature`, which changes no order.

    Args:
        start_logits, end_logits: of each window, [tokens] or longer: what stands behind its tokens is not read.
        temperature: above 0; below 1, high probabilities become higher.
    """
    logits, no_answer = all_logits(windows, start_logits, end_logits, max_answer_tokens)
    highest = max([no_answer, *(float(window.max()) for window in logits if window.size)])
    parts = [np.exp((window - highest) / temperature, dtype=np.float64).sum() for window in logits]
    silent = np.exp((no_answer - highest) / temperature)
    total = silent + sum(parts)
    best = [
        (-logit, window.offsets[start][0], window.offsets[start + length][1])
        for window, values in zip(windows, logits, strict=True)
        for start, length, logit in _largest(values, n_best)
    ]
    spans = [
        Span(start, end, float(np.exp((-negative - highest) / temperature) / total))
        for negative, start, end in sorted(best)[:n_best]
    ]
    return Spans(spans, float(silent / total))


def all_logits(
    windows: Sequence[Window], start_logits: Sequence[Floats], end_logits: Sequence[Floats], max_answer_tokens: int
) -> tuple[list[Floats], float]:
    """Return the logits of each window's allowed spans, [tokens, lengths] as by `span_logits`, and that of no answer.

    A span's logit is the sum of its start and end logit, that of no answer the sum at the first token, in the window
    where it is lowest, as in BERT's run_squad. A range of characters counts once: of several spans with the same range,
    as windows share tokens, all but the highest are -inf.
    """
    logits = [
        span_logits(start[_context_part(window)], end[_context_part(window)], max_answer_tokens)
        for window, start, end in zip(windows, start_logits, end_logits, strict=True)
    ]
    return _each_range_once(windows, logits), min(
        float(start[0]) + float(end[0]) for start, end in zip(start_logits, end_logits, strict=True)
    )


def span_logits(start: Floats, end: Floats, max_answer_tokens: int) -> Floats:
    """Return [tokens, lengths] of two [tokens]: at i, n stands the span from token i to i + n; -inf past the end."""
    if not len(start):
        return np.empty((0, 0), np.float32)
    longest = min(max_answer_tokens, len(start))
    padded = np.concatenate([end, np.full(longest - 1, -np.inf, np.float32)])
    return start[:, None] + sliding_window_view(padded, longest)


def answer_range(context: str, span: Span) -> tuple[int, int]:
    """Return where the answer of a span starts and ends: whole characters, with the marks that belong to them."""
    return grapheme_start(context, span.start), grapheme_end(context, span.end)


def grapheme_start(context: str, start: int) -> int:
    """Return `start` moved before the character that the marks at it belong to, by `MAX_MARKS` at most."""
    first = max(start - MAX_MARKS, 0)
    while first < start < len(context) and _belongs(context[start - 1], context[start]):
        start -= 1
    return start


def grapheme_end(context: str, end: int) -> int:
    """Return `end` moved behind the marks that belong to the character before it, `MAX_MARKS` at most.

    The tokenizer drops combining marks, so no token's range holds them.
    """
    last = min(end + MAX_MARKS, len(context))
    while 0 < end < last and _belongs(context[end - 1], context[end]):
        end += 1
    return end


def _belongs(before: str, character: str) -> bool:
    if ZERO_WIDTH_JOINER in (before, character):
        return True
    return unicodedata.category(character) in ("Mn", "Mc", "Me") or bool(ATTACHED.match(character))


def _each_range_once(windows: Sequence[Window], logits: Sequence[Floats]) -> list[Floats]:
    """Return the logits with -inf in place of every span but the highest of its range of characters."""
    offsets = np.concatenate([np.array(window.offsets, np.int64).reshape(-1, 2) for window in windows])
    (starts, rows), (ends, columns) = (np.unique(offsets[:, i], return_inverse=True) for i in (0, 1))
    if len(offsets) in (len(starts), len(ends)):
        return list(logits)  # no two spans have both a start and an end in common
    ranges = _range_numbers(rows, columns, logits)
    values = np.concatenate([window.ravel() for window in logits])
    highest = np.full(ranges.max() + 1, -np.inf, np.float32)
    np.maximum.at(highest, ranges, values)
    candidates = np.flatnonzero(values == highest[ranges])
    chosen = np.full(len(highest), -1)
    chosen[ranges[candidates]] = candidates  # one of several that are equal
    chosen = chosen[chosen >= 0]
    once = np.full_like(values, -np.inf)
    once[chosen] = values[chosen]
    parts = np.split(once, np.cumsum([window.size for window in logits])[:-1])
    return [part.reshape(window.shape) for part, window in zip(parts, logits, strict=True)]


def _range_numbers(rows: Integers, columns: Integers, logits: Sequence[Floats]) -> Integers:
    """Return a number for each span of all windows, the same for the same range of characters; [spans].

    Args:
        rows, columns: of each token of all windows, the number of its start and of its end.
    """
    nearest = np.full(rows.max() + 1, columns.max())
    np.minimum.at(nearest, rows, columns)
    parts, begin = [], 0
    for tokens, longest in (window.shape for window in logits if window.size):
        of_window = slice(begin, begin := begin + tokens)
        padded = np.pad(columns[of_window], (0, longest - 1), mode="edge")
        beyond = sliding_window_view(padded, longest) - nearest[rows[of_window], None]
        parts.append((rows[of_window, None], beyond))
    width = 1 + max(int(beyond.max()) for _, beyond in parts)
    return np.concatenate([(row * width + beyond).ravel() for row, beyond in parts])


def _context_part(window: Window) -> slice:
    return slice(window.first, window.first + len(window.offsets))


def _largest(logits: Floats, count: int) -> list[tuple[int, int, float]]:
    """Return row, column and value of the `count` highest finite values."""
    flat = logits.ravel()
    count = min(count, flat.size)
    if not count:
        return []
    indices = np.argpartition(flat, flat.size - count)[flat.size - count :]
    rows, columns = np.divmod(indices, logits.shape[1])
    values = flat[indices].tolist()
    triples = zip(rows.tolist(), columns.tolist(), values, strict=True)
    return [triple for triple in triples if np.isfinite(triple[2])]
