"""Test the decoder against the definition: every allowed span of every window, one by one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handlers.text.spans import best_spans, grapheme_end, grapheme_start
from handlers.text.windows import Window


def window(tokens: int, begin: int = 0) -> Window:
    """Return a window of context tokens of two characters each behind a question of one token."""
    offsets = [(begin + 2 * i, begin + 2 * i + 2) for i in range(tokens)]
    return Window([2, 9, 3, *range(10, 10 + tokens), 3], 3, offsets)


def logits(tokens: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, tokens + 4, elements=st.floats(-9, 9, width=16))


@given(
    st.data(),
    st.lists(st.integers(0, 7), min_size=1, max_size=3),
    st.integers(1, 4),
    st.sampled_from([0.5, 1.0, 3.0]),
)
@settings(deadline=None)
def test_the_best_spans_and_their_probabilities_are_those_of_all_allowed_spans(
    data: st.DataObject, sizes: list[int], longest: int, temperature: float
) -> None:
    # windows apart, so that no span stands in two
    windows = [window(size, begin=100 * i) for i, size in enumerate(sizes)]
    starts, ends = ([data.draw(logits(size)) for size in sizes] for _ in "se")
    every = {
        (one.offsets[i][0], one.offsets[j][1]): float(start[3 + i] + end[3 + j]) / temperature
        for one, start, end in zip(windows, starts, ends, strict=True)
        for i in range(len(one.offsets))
        for j in range(i, min(i + longest, len(one.offsets)))
    }
    nothing = min(float(start[0] + end[0]) for start, end in zip(starts, ends, strict=True)) / temperature
    total = np.exp(nothing) + sum(np.exp(list(every.values())))
    result = best_spans(windows, starts, ends, n_best=5, max_answer_tokens=longest, temperature=temperature)
    assert result.no_answer_score == pytest.approx(np.exp(nothing) / total, rel=1e-4)
    assert len(result.spans) == min(5, len(every))
    assert [span.score for span in result.spans] == pytest.approx(
        sorted((np.exp(logit) / total for logit in every.values()), reverse=True)[:5], rel=1e-4
    )
    for span in result.spans:
        assert span.score == pytest.approx(np.exp(every[span.start, span.end]) / total, rel=1e-4)


@given(logits(6), logits(6), st.floats(0.1, 10))
@settings(deadline=None)
def test_a_temperature_changes_scores_and_no_order(start: np.ndarray, end: np.ndarray, temperature: float) -> None:
    plain, tempered = (best_spans([window(6)], [start], [end], temperature=t) for t in (1.0, temperature))
    assert [(s.start, s.end) for s in plain.spans] == [(s.start, s.end) for s in tempered.spans]


def test_logits_outside_the_context_never_answer() -> None:
    one = window(3)
    high = np.array([0, 50, 50, 1, 2, 1, 50], np.float32)
    assert [(s.start, s.end) for s in best_spans([one], [high], [high], n_best=1).spans] == [(2, 4)]


@given(
    st.data(),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 6)), min_size=1, max_size=4),
    st.integers(1, 4),
    st.sampled_from([1, 2]),
)
@settings(deadline=None)
def test_a_range_that_several_spans_hold_counts_once_by_the_best_of_them(
    data: st.DataObject, sizes: list[tuple[int, int]], longest: int, pieces: int
) -> None:
    """Count such a range once, since windows overlap and some tokenizers make several tokens of one character."""
    windows = [
        Window(
            [2, 9, 3, *range(10, 10 + size), 3],
            3,
            [((begin + i) // pieces, (begin + i) // pieces + 1) for i in range(size)],
        )
        for size, begin in sizes
    ]
    starts, ends = ([data.draw(logits(size)) for size, _ in sizes] for _ in "se")
    every: dict[tuple[int, int], float] = {}
    for one, start, end in zip(windows, starts, ends, strict=True):
        for i in range(len(one.offsets)):
            for j in range(i, min(i + longest, len(one.offsets))):
                characters = (one.offsets[i][0], one.offsets[j][1])
                every[characters] = max(float(start[3 + i] + end[3 + j]), every.get(characters, -np.inf))
    nothing = min(float(start[0] + end[0]) for start, end in zip(starts, ends, strict=True))
    total = np.exp(nothing) + sum(np.exp(list(every.values())))
    result = best_spans(windows, starts, ends, n_best=300, max_answer_tokens=longest)
    assert len(result.spans) == len(every)
    assert {(span.start, span.end): span.score for span in result.spans} == pytest.approx(
        {characters: np.exp(logit) / total for characters, logit in every.items()}, rel=1e-4
    )
    assert result.no_answer_score == pytest.approx(np.exp(nothing) / total, rel=1e-4)


def test_an_answer_in_two_windows_is_as_likely_as_in_one() -> None:
    sure = np.array([0, 0, 0, 9, 0, 0, 0], np.float32)
    [alone, shared] = (best_spans([window(3)] * n, [sure] * n, [sure] * n) for n in (1, 2))
    assert shared == alone
    assert alone.spans[0].score > 0.99


def test_a_confident_window_beats_the_no_answer_of_another() -> None:
    silent, answering = np.array([9, 0, 0, 0, 0], np.float32), np.array([-9, 0, 0, 9, 0], np.float32)
    windows = [window(1), window(1, begin=50)]
    result = best_spans(windows, [silent, answering], [silent, answering])
    assert (result.spans[0].start, result.spans[0].end) == (50, 52)
    assert result.no_answer_score < 0.01


@pytest.mark.parametrize(
    ("context", "end", "expected"),
    [
        ("cafe\u0301 noir", 4, "cafe\u0301"),
        ("👩\u200d🚀 flies", 1, "👩\u200d🚀"),
        ("❤\ufe0f is red", 1, "❤\ufe0f"),
        ("👍\U0001f3fd!", 1, "👍\U0001f3fd"),
        ("می\u200cخواهم", 2, "می\u200c"),
        ("🏴\U000e0067\U000e0062\U000e007f flag", 1, "🏴\U000e0067\U000e0062\U000e007f"),
        ("plain", 2, "pl"),
        ("plain", 5, "plain"),
    ],
)
def test_marks_stay_with_their_character(context: str, end: int, expected: str) -> None:
    assert context[: grapheme_end(context, end)] == expected


@pytest.mark.parametrize(
    ("context", "start", "expected"),
    [
        ("cafe\u0301 noir", 4, "e\u0301 noir"),
        ("an 👩\u200d🚀 flies", 5, "👩\u200d🚀 flies"),
        ("an 👍\U0001f3fd", 4, "👍\U0001f3fd"),
        ("\u0301a", 0, "\u0301a"),
        ("plain", 2, "ain"),
        ("plain", 5, ""),
    ],
)
def test_an_answer_never_begins_within_a_character(context: str, start: int, expected: str) -> None:
    assert context[grapheme_start(context, start) :] == expected


def test_a_limited_number_of_combining_marks_is_examined() -> None:
    assert grapheme_start("e" + "\u0301" * 1000, 900) == 900 - 32


@given(st.text(), st.text("\u0301\u20e3\ufe0f", max_size=60), st.sampled_from(["", " ", "a", "🙂"]))
def test_no_mark_is_lost_up_to_32(before: str, marks: str, behind: str) -> None:
    begin = len(before) + 1
    assert grapheme_end(f"{before}e{marks}{behind}", begin) == begin + min(len(marks), 32)


def test_windows_hold_every_span_up_to_the_shared_tokens() -> None:
    from handlers.text.windows import Tokens, WindowTokenizer
    from tests.support.tiny_export import tiny_tokenizer

    tokenizer = WindowTokenizer(tiny_tokenizer().to_str(), max_length=20, doc_stride=5, max_question_length=4)
    tokens = Tokens(list(range(40)), [(i, i + 1) for i in range(40)])
    windows = tokenizer.windows(Tokens([7], [(0, 1)]), tokens)
    for span in [(i, i + length) for i in range(40) for length in range(1, 6) if i + length <= 40]:
        assert any(one.offsets[0][0] <= span[0] and span[1] <= one.offsets[-1][1] for one in windows)
    assert all(left.offsets[-5:] == right.offsets[:5] for left, right in pairwise(windows))
