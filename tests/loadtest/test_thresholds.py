"""Which limits of a load test hold."""

from __future__ import annotations

import pytest

from loadtest.thresholds import Summary, Thresholds

SUMMARY = Summary(
    requests=1000, failures=10, requests_per_second=250.0, p50=20, p95=60, p99=120, errors={"status 503": 10}
)


def test_limits_that_are_met_exactly_hold() -> None:
    assert Thresholds(max_failures=0.01, p99=120, min_rps=250).failed(SUMMARY) == []


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Thresholds(max_failures=0.009), "failures: 10 of 1000 (1.00%), the limit is 0.90%"),
        (Thresholds(max_failures=1, p99=119), "p99: 120 ms, the limit is 119 ms"),
        (Thresholds(max_failures=1, min_rps=251), "requests/s: 250.0, the limit is 251"),
    ],
)
def test_a_missed_limit_is_told_with_both_numbers(limits: Thresholds, told: str) -> None:
    assert limits.failed(SUMMARY) == [told]


def test_every_missed_limit_is_told() -> None:
    assert len(Thresholds(0, 1, 1000).failed(SUMMARY)) == 3


def test_by_default_no_request_may_fail() -> None:
    assert Thresholds().failed(SUMMARY)[0].startswith("failures")


def test_a_run_without_requests_keeps_no_limit() -> None:
    empty = Summary(0, 0, 0.0, 0, 0, 0, {})
    assert Thresholds(1).failed(empty) == ["no request was answered"]
