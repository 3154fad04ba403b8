"""Texts of many lengths."""

from __future__ import annotations

import numpy as np

from loadtest.lengths import mixed
from loadtest.samples import Sample

TEXTS = [Sample({"text": f"text number {i} says this"}, {"label": "a"}) for i in range(32)]


def test_most_texts_are_short_and_some_are_long() -> None:
    samples = mixed(TEXTS)
    words = [len(sample.request["text"].split()) for sample in samples]
    assert 9 <= np.median(words) <= 16
    assert 40 <= np.percentile(words, 95) <= 90
    assert samples == mixed(TEXTS)
    assert all(sample.expected is None for sample in samples)


def test_contexts_are_longer_than_their_questions_which_stay() -> None:
    golden = [Sample({"question": "Who came?", "context": "Ana came to the house.", "top_k": 2}, None)]
    samples = mixed(golden)
    assert {sample.request["question"] for sample in samples} == {"Who came?"}
    words = [len(sample.request["context"].split()) for sample in samples]
    assert 90 <= np.median(words) <= 150
    assert max(words) <= 2000
