"""Test requests that arrive at random, against a server with known delays."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from loadtest import open_loop
from loadtest.closed_loop import measure
from loadtest.errors import LoadTestError
from loadtest.generator import Run
from loadtest.open_loop import run
from loadtest.samples import Sample
from loadtest.stages import Stage
from loadtest.target import Target
from loadtest.workload import RequestSet, Workload
from tests.support.stub import Behaviour, stub

RIGHT = Sample({"text": "x"}, {"label": "a", "score": 0.9})
WRONG = Sample({"text": "x"}, {"label": "b", "score": 0.9})


def requests(url: str, *samples: Sample, model: str = "m") -> RequestSet:
    return RequestSet(Target(url, None), model, list(samples or (RIGHT,)), None)


def workload(url: str, rate: float, seconds: float, *samples: Sample) -> Workload:
    return Workload([requests(url, *samples)], [1.0], [Stage(seconds, rate)])


def sent(behaviour: Behaviour, rate: float, seconds: float, *samples: Sample) -> Run:
    with stub(behaviour) as url:
        return run(workload(url, rate, seconds, *samples))


def test_every_request_is_sent_when_it_is_due_and_its_latency_is_the_servers() -> None:
    recording = sent(Behaviour(delay=0.05), rate=100, seconds=3).recording
    assert 230 <= len(recording) <= 370  # four standard deviations of a Poisson count of 300
    assert recording.errors() == {}
    assert recording.latency.min() >= 0.05
    # At least half of them are sent and answered without a delay by the machine.
    assert np.median(recording.latency) < 0.1
    assert 0 <= recording.start.min() < recording.start.max() < 3


def test_the_gaps_between_requests_are_exponential() -> None:
    gaps = np.diff(sent(Behaviour(), rate=400, seconds=3).recording.start)
    assert np.mean(gaps) == pytest.approx(1 / 400, rel=0.15)
    assert np.std(gaps) == pytest.approx(np.mean(gaps), rel=0.2)
    assert np.mean(gaps > np.mean(gaps)) == pytest.approx(np.exp(-1), abs=0.06)


def test_a_stall_delays_all_requests_due_in_it_where_the_closed_loop_sees_it_once() -> None:
    stall = Behaviour(delay=0.002, stall_at=2, stall=1)
    recording = sent(stall, rate=100, seconds=4).recording
    waited = recording.latency > 0.1
    assert waited.sum() > 60  # about 90 of the 100 requests of that second
    # A request that comes later in the stall waits for less: the rest of the stall is its latency.
    ends = recording.done[waited]
    assert ends.max() - ends.min() < 0.5
    assert np.percentile(recording.latency, 99) > 0.7
    assert np.percentile(recording.latency, 90) > 0.4
    with stub(stall) as url:
        measured = measure([requests(url)], clients=1, seconds=3)
    assert measured.requests > 100
    assert measured.p99 < 100


def test_a_server_below_the_rate_falls_behind_and_the_latencies_say_so() -> None:
    recording = sent(Behaviour(capacity=50), rate=100, seconds=2).recording
    # 200 requests take 4 s: one that is due at the end waits for two seconds of backlog.
    assert recording.latency[-10:].mean() > 1
    assert recording.latency[:10].mean() < recording.latency[-10:].mean() / 2


@pytest.mark.parametrize(
    ("behaviour", "sample", "error"),
    [
        (Behaviour(refuse_at=0), RIGHT, "status 503 Busy"),
        (Behaviour(gone_at=0), RIGHT, "the connection was closed"),
        (Behaviour(), WRONG, "label 'a', expected 'b'"),
    ],
)
def test_failures_are_counted_by_kind(behaviour: Behaviour, sample: Sample, error: str) -> None:
    recording = sent(behaviour, 50, 1, sample).recording
    assert len(recording) > 0
    assert recording.errors() == {error: len(recording)}


def test_unanswered_requests_time_out() -> None:
    with stub(Behaviour(delay=60)) as url:
        recording = run(replace(workload(url, 20, 1), timeout=1.0)).recording
    assert recording.errors() == {"no answer within 1 s": len(recording)}
    assert len(recording) > 0


def test_the_latency_of_a_request_counts_from_its_due_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_loop, "response_error", lambda *_: time.sleep(0.5))  # once: the result is cached
    monkeypatch.setattr(open_loop, "WARM_UP_SECONDS", 0.0)
    with stub(Behaviour()) as url:
        done = asyncio.run(open_loop._send(workload(url, 100, 2), np.random.default_rng(0), 0))
    assert (done.recording.lag > 0.2).sum() > 10
    assert np.all(done.recording.latency >= done.recording.lag)
    assert done.generator.problems(p50=0.01, p99=0.1)


def test_two_processes_send_the_rate_together() -> None:
    with stub(Behaviour()) as url:
        done = run(workload(url, 200, 2), processes=2)
    assert 320 <= len(done.recording) <= 480
    assert len(done.generator.cores) == 2
    assert np.all(np.diff(done.recording.start) >= 0)


def test_two_models_share_the_requests() -> None:
    with stub(Behaviour()) as url:
        sets = [requests(url, RIGHT), requests(url, WRONG, model="n")]
        recording = run(Workload(sets, [0.75, 0.25], [Stage(2, 200)])).recording
    share = np.mean(recording.model == 1)
    assert share == pytest.approx(0.25, abs=0.09)
    assert recording.errors() == {"label 'a', expected 'b'": int((recording.model == 1).sum())}


def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(LoadTestError, match="takes no connection"):
        run(workload("http://127.0.0.1:9", 10, 1))
