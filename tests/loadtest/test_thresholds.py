"""Test which limits of a load test hold."""

from __future__ import annotations

import numpy as np
import pytest

from loadtest.recording import Recorder, Recording
from loadtest.thresholds import Summary, Thresholds, summarise

SUMMARY = Summary(
    requests=1000,
    failures=10,
    requests_per_second=250.0,
    p50=20,
    p95=60,
    p99=120,
    p999=140,
    longest=150,
    p99_interval=(110, 135),
    errors={"status 503": 10},
    growth_mib=30.0,
)


def recorded(latencies: list[float], wrong: int = 0) -> Recording:
    """Return a recording of a request every 10 ms, of which the first `wrong` fail."""
    recorder = Recorder()
    for i, latency in enumerate(latencies):
        recorder.add(i / 100, latency, 0.0, 0, "status 503" if i < wrong else None)
    return recorder.recording()


def test_percentiles_equal_those_of_numpy_over_right_answers() -> None:
    latencies = list(np.random.default_rng(0).exponential(0.02, 5000))
    summary = summarise(recorded(latencies, wrong=100), seconds=50)
    right = 1000 * np.array(latencies[100:])
    assert summary.requests == 5000
    assert summary.errors == {"status 503": summary.failures} == {"status 503": 100}
    for message, share in ((summary.p50, 50), (summary.p99, 99), (summary.p999, 99.9), (summary.longest, 100)):
        assert message == pytest.approx(np.percentile(right, share), abs=1e-3)
    assert summary.p99 is not None
    assert summary.p99_interval is not None
    assert summary.p99_interval[0] < summary.p99 < summary.p99_interval[1]


def test_answers_after_the_end_do_not_count_as_throughput() -> None:
    assert summarise(recorded([0.001] * 100), seconds=1).requests_per_second == 100
    assert summarise(recorded([0.5] * 100), seconds=1).requests_per_second == pytest.approx(50, abs=1.1)


def test_without_a_right_answer_there_is_no_latency() -> None:
    summary = summarise(recorded([0.1] * 3, wrong=3), seconds=1)
    assert (summary.p50, summary.p99, summary.p99_interval) == (None, None, None)
    assert Thresholds(max_failures=1, p99=100).failed(summary) == ["p99: no right answer, the limit is 100 ms"]


def test_limits_that_are_met_exactly_hold() -> None:
    assert Thresholds(max_failures=0.01, p99=120, min_rps=250).failed(SUMMARY) == []


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Thresholds(max_failures=0.009), "failures: 10 of 1000 (1.00%), the limit is 0.90%"),
        (Thresholds(max_failures=1, p99=119), "p99: 120 ms, the limit is 119 ms"),
        (Thresholds(max_failures=1, min_rps=251), "requests/s: 250.0, the limit is 251"),
        (
            Thresholds(max_failures=1, max_growth=29),
            "growth of the server's memory: 30 MiB, the limit is 29 MiB",
        ),
    ],
)
def test_a_missed_limit_is_reported_with_both_numbers(limits: Thresholds, message: str) -> None:
    assert limits.failed(SUMMARY) == [message]


def test_every_missed_limit_is_reported() -> None:
    assert len(Thresholds(0, 1, 1000, 1).failed(SUMMARY)) == 4


def test_by_default_no_request_may_fail() -> None:
    assert Thresholds().failed(SUMMARY)[0].startswith("failures")


def test_a_run_without_requests_meets_no_limit() -> None:
    assert Thresholds(1).failed(summarise(recorded([]), 1)) == ["no request was answered"]
