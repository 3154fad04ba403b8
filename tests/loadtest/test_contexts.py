"""Requests whose contexts have as many words as asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadtest.bench import archive, contexts, measure, server
from loadtest.bench.closed_loop import Measurement
from loadtest.bench.contexts import QUESTIONS, measure_growth, requests_of
from loadtest.bench.timing import Timing
from loadtest.errors import LoadTestError
from loadtest.plan import Plan
from loadtest.samples import Sample
from loadtest.target import Target

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


def test_the_server_is_warmed_up_with_the_shortest_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    @contextmanager
    def serving(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(target=Target("http://host", None), worker_memory=lambda: {"rss": 1.0})

    def measured(plans: Sequence[Plan], clients: int, seconds: float) -> Measurement:
        asked.append((len(plans[0].samples[0].request["context"].split()), seconds))
        return Measurement(1, 1, 1, 1, 1, 0, 0.1)

    monkeypatch.setattr(contexts, "read_golden", lambda _: GOLDEN)
    monkeypatch.setattr(archive, "unpack", lambda *_: None)
    monkeypatch.setattr(measure, "rows_of", lambda *_: [[1]])
    monkeypatch.setattr(measure, "in_own_process", measured)
    monkeypatch.setattr(server, "serving", serving)
    measure_growth("qa", Path("store"), [4, 2], Timing(8, 15, 1))
    assert asked == [(2, 15), (2, 8), (4, 8)]
