"""Find the best answers in the logits of a question's windows; training and serving share this code."""

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
# Character that joins its two neighbors into one. Marks (Unicode's Mn, Mc and Me) join the character before them.
ZERO_WIDTH_JOINER = "\u200d"
# Other characters that belong to the one before them, as marks do: the zero width non-joiner, skin tones, and the
# letters of a flag's region.
ATTACHED = re.compile("[\u200c\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
# Limit of marks on one character: the longest emoji, and scripts that stack vowels, have about ten.
MAX_MARKS = 32


@dataclass(frozen=True)
class Span:
    """A candidate answer: characters [start, end) of the context, with their probability."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Spans:
    """The best spans, best first, each range of characters once; there are none if the context has no token.

    `no_answer_score` is the probability that the context does not answer the question.
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

    Probabilities are a softmax, with `temperature`, over the logits (`all_logits`) of no answer and of all allowed
    spans in all windows. The temperature does not change the order of the spans.

    Args:
        start_logits, end_logits: for each window, [tokens] or longer; values after the last token are ignored.
        temperature: above 0; a value below 1 makes high probabilities higher.
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
    """Return the logits of each window's allowed spans, [tokens, lengths] as in `span_logits`, and that of no answer.

    A span's logit is the sum of its start and end logits. The logit of no answer is the sum at the first token, taken
    from the window where it is lowest, as in BERT's run_squad. Windows share tokens, so several spans may have the same
    range of characters: all but the highest of them are -inf.
    """
    logits = [
        span_logits(start[_context_part(window)], end[_context_part(window)], max_answer_tokens)
        for window, start, end in zip(windows, start_logits, end_logits, strict=True)
    ]
    return _each_range_once(windows, logits), min(
        float(start[0]) + float(end[0]) for start, end in zip(start_logits, end_logits, strict=True)
    )


def span_logits(start: Floats, end: Floats, max_answer_tokens: int) -> Floats:
    """Return [tokens, lengths] from two [tokens]; [i, n] is the span from token i to i + n, -inf past the end."""
    if not len(start):
        return np.empty((0, 0), np.float32)
    longest = min(max_answer_tokens, len(start))
    padded = np.concatenate([end, np.full(longest - 1, -np.inf, np.float32)])
    return start[:, None] + sliding_window_view(padded, longest)


def answer_range(context: str, span: Span) -> tuple[int, int]:
    """Return a span's start and end, widened so that no character is separated from its marks."""
    return grapheme_start(context, span.start), grapheme_end(context, span.end)


def grapheme_start(context: str, start: int) -> int:
    """Return `start`, or if marks stand there, the start of their character, at most `MAX_MARKS` earlier."""
    first = max(start - MAX_MARKS, 0)
    while first < start < len(context) and _belongs(context[start - 1], context[start]):
        start -= 1
    return start


def grapheme_end(context: str, end: int) -> int:
    """Return `end` moved past the marks of the character before it, by at most `MAX_MARKS`.

    The tokenizer drops combining marks, so they are in no token's range.
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
    """Return the logits with every span set to -inf except the highest of each range of characters."""
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
    """Return a number for each span of all windows, [spans]; spans with the same range of characters share it.

    Args:
        rows, columns: for each token of all windows, the numbers of its start and of its end.
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
