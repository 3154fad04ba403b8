"""The decoder against the definition: every allowed span of every window, one by one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handlers.text.spans import best_spans, extended
from handlers.text.windows import Window


def window(tokens: int, begin: int = 0) -> Window:
    """Context tokens of two characters each behind a question of one token."""
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
    found = best_spans(windows, starts, ends, n_best=5, max_answer_tokens=longest, temperature=temperature)
    assert found.no_answer_score == pytest.approx(np.exp(nothing) / total, rel=1e-4)
    assert len(found.spans) == min(5, len(every))
    assert [span.score for span in found.spans] == pytest.approx(
        sorted((np.exp(logit) / total for logit in every.values()), reverse=True)[:5], rel=1e-4
    )
    for span in found.spans:
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


def test_a_range_that_two_windows_hold_is_listed_once_with_the_better_score() -> None:
    one, other = window(3), window(3)
    weak, strong = np.zeros(7, np.float32), np.array([0, 0, 0, 3, 0, 0, 0], np.float32)
    found = best_spans([one, other], [weak, strong], [weak, strong], n_best=20)
    ranges = [(span.start, span.end) for span in found.spans]
    assert len(ranges) == len(set(ranges)) == 6
    total = 1 + 6 + np.exp(6) + 2 * np.exp(3) + 3
    assert found.spans[0].score == pytest.approx(np.exp(6) / total)


def test_a_confident_window_beats_the_no_answer_of_another() -> None:
    silent, found = np.array([9, 0, 0, 0, 0], np.float32), np.array([-9, 0, 0, 9, 0], np.float32)
    windows = [window(1), window(1, begin=50)]
    result = best_spans(windows, [silent, found], [silent, found])
    assert (result.spans[0].start, result.spans[0].end) == (50, 52)
    assert result.no_answer_score < 0.01


@pytest.mark.parametrize(
    ("context", "end", "said"),
    [
        ("cafe\u0301 noir", 4, "cafe\u0301"),
        ("👩\u200d🚀 flies", 1, "👩\u200d🚀"),
        ("❤\ufe0f is red", 1, "❤\ufe0f"),
        ("plain", 2, "pl"),
        ("plain", 5, "plain"),
    ],
)
def test_marks_stay_with_their_character(context: str, end: int, said: str) -> None:
    assert context[: extended(context, end)] == said


@given(st.text(), st.text("\u0301\u20e3\ufe0f", max_size=60), st.sampled_from(["", " ", "a", "🙂"]))
def test_no_mark_is_lost_up_to_32(before: str, marks: str, behind: str) -> None:
    begin = len(before) + 1
    assert extended(f"{before}e{marks}{behind}", begin) == begin + min(len(marks), 32)


def test_windows_hold_every_span_up_to_the_shared_tokens() -> None:
    from handlers.text.windows import Tokens, WindowEncoder
    from tests.tiny_export import tiny_tokenizer

    encoder = WindowEncoder(tiny_tokenizer().to_str(), max_length=20, doc_stride=5, max_question_length=4)
    tokens = Tokens(list(range(40)), [(i, i + 1) for i in range(40)])
    windows = encoder.windows(Tokens([7], [(0, 1)]), tokens)
    for span in [(i, i + length) for i in range(40) for length in range(1, 6) if i + length <= 40]:
        assert any(one.offsets[0][0] <= span[0] and span[1] <= one.offsets[-1][1] for one in windows)
    assert all(left.offsets[-5:] == right.offsets[:5] for left, right in pairwise(windows))
