"""Requests whose contexts have as many words as asked for."""

from __future__ import annotations

import pytest

from loadtest.bench.contexts import QUESTIONS, requests_of
from loadtest.errors import LoadTestError
from loadtest.samples import Sample

GOLDEN = [Sample({"question": f"Q{i}?", "context": f"a{i} b{i}\n c{i}."}, {}) for i in range(QUESTIONS + 1)]


@pytest.mark.parametrize("words", [2, 4, 100])
def test_contexts_are_golden_ones_joined_to_the_length(words: int) -> None:
    samples = requests_of(GOLDEN, words)
    assert [sample.request["question"] for sample in samples] == [f"Q{i}?" for i in range(QUESTIONS)]
    assert {len(sample.request["context"].split()) for sample in samples} == {words}
    assert len({sample.request["context"] for sample in samples}) == QUESTIONS
    assert f"{samples[1].request['context']} ".startswith("a1 b1 " + ("c1. a2 " if words > 2 else ""))


def test_a_model_without_contexts_is_refused() -> None:
    with pytest.raises(LoadTestError, match="no contexts"):
        requests_of([Sample({"text": "a"}, {})], 100)
