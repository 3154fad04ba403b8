"""Test the search for the highest rate, and the verdict on one rate."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.generator import LoadGenerator, Run
from loadtest.recording import Recorder
from loadtest.slo.__main__ import milliseconds
from loadtest.slo.point import LOOKS, Point, Verdict, assess, measure_point, seconds_of_a_look
from loadtest.slo.report import conclude
from loadtest.slo.search import LOWEST_RATE, PRECISION, Search, search
from loadtest.target import Target
from loadtest.workload import RequestSet, Workload
from tests.support.stub import Behaviour, stub


def run(requests: int, slow: int = 0, failures: int = 0, delay: float = 0.001) -> Run:
    """Return a run with answers after 50 ms, the slow ones after 200."""
    recorder = Recorder()
    for i in range(requests):
        recorder.add(i / 100, 0.2 if i < slow else 0.05, 0, 0, "status 503" if i >= requests - failures else None)
    return Run(recorder.recording(), LoadGenerator([0.2], np.full(requests, delay)), 0)


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        ([run(2000)], "kept"),
        ([run(1000, slow=3), run(1000, slow=2)], "kept"),
        ([run(2000, slow=17)], "not shown"),
        ([run(2000, slow=60)], "missed"),
        ([run(2000, failures=1)], "missed"),
        ([run(100)], "not shown"),
        ([run(2000, delay=0.05)], "not valid"),
    ],
)
def test_the_verdict_on_a_rate_allows_for_chance(runs: list[Run], verdict: Verdict) -> None:
    assert assess(runs, 100, 20, limit=0.1).verdict == verdict


def test_the_reported_share_covers_all_looks_as_the_verdict_does() -> None:
    points = [assess([run(2000, slow=slow)], 100, 20, 0.1) for slow in range(20)]
    at_the_edge = [point for point in points if point.verdict == "kept"][-1]
    assert 0.009 < at_the_edge.slow_at_most <= 0.01


def test_an_unsure_rate_is_looked_at_again_and_a_sure_one_is_not() -> None:
    seen: list[tuple[float, int]] = []

    def send(slow: int) -> Callable[[float, float, int], Run]:
        def once(rate: float, seconds: float, seed: int) -> Run:
            seen.append((seconds, seed))
            return run(round(rate * seconds), slow=slow)

        return once

    point = measure_point(send(20), 200, 0.1, min_seconds=10, seed=3)
    assert (point.verdict, point.requests, len(seen)) == ("not shown", 2000 * LOOKS, LOOKS)
    assert len({seed for _, seed in seen}) == LOOKS
    seen.clear()
    assert measure_point(send(0), 200, 0.1, min_seconds=10, seed=4).verdict == "kept"
    assert len(seen) == 1


def test_a_low_rate_is_looked_at_shortly_and_then_for_as_long_as_it_takes() -> None:
    seconds: list[float] = []

    def send(rate: float, duration: float, seed: int) -> Run:
        seconds.append(duration)
        return run(round(rate * duration))

    point = measure_point(send, 10, 0.1, min_seconds=5, seed=0)
    assert point.verdict == "kept"
    assert seconds[:2] == [5, 20]
    assert max(seconds) <= seconds_of_a_look(10, 5)
    assert point.seconds == sum(seconds) > 60


def test_a_low_rate_that_is_hopeless_is_not_looked_at_for_long() -> None:
    def send(rate: float, duration: float, seed: int) -> Run:
        return run(round(rate * duration), slow=round(rate * duration))

    point = measure_point(send, 2, 0.1, min_seconds=1, seed=0)
    assert (point.verdict, point.seconds) == ("missed", 1)


def test_a_low_rate_is_looked_at_for_longer() -> None:
    assert seconds_of_a_look(1000, min_seconds=10) == 10
    assert seconds_of_a_look(10, min_seconds=10) > 100


def point(rate: float, verdict: Verdict) -> Point:
    return Point(rate, 10, 1000, 0, 0, 10, 20, 0.005, verdict, "", 0.1, 0.1)


def searched(verdict_at: Callable[[float], Verdict], first: float) -> Search:
    return search(lambda rate: point(rate, verdict_at(rate)), first, lambda *_: None)


@pytest.mark.parametrize("first", [1.0, 90.0, 100.0, 130.0, 5000.0])
def test_the_search_reaches_the_highest_rate_from_any_first_one(first: float) -> None:
    result = searched(lambda rate: "kept" if rate <= 100 else "missed", first)
    assert result.best is not None
    assert 100 / PRECISION <= result.best.rate <= 100
    assert not result.limited_by_generator


def test_a_rate_that_is_not_shown_does_not_count() -> None:
    result = searched(lambda rate: "kept" if rate <= 50 else "not shown" if rate <= 100 else "missed", 60)
    assert result.best is not None
    assert result.best.rate <= 50


def test_a_lucky_result_is_not_confirmed() -> None:
    seen: set[float] = set()

    def once(rate: float) -> Verdict:
        lucky = rate not in seen and rate <= 100
        seen.add(rate)
        return "kept" if lucky or rate <= 96 else "missed"

    result = searched(once, 80)
    assert result.best is not None
    assert result.best.rate <= 96


def test_where_luck_lasted_the_search_goes_on_downwards() -> None:
    def once(rate: float) -> Verdict:
        lucky = not seen
        seen.append(rate)
        return "kept" if lucky or rate <= 60 else "missed"

    seen: list[float] = []
    result = searched(once, 100)
    assert result.best is not None
    assert 45 < result.best.rate <= 60


def test_a_machine_that_is_too_busy_to_confirm_anything_gives_no_result() -> None:
    """Make the generator too slow from the first rate that is tried a second time."""
    seen: set[float] = set()
    busy: list[float] = []

    def once(rate: float) -> Verdict:
        busy.extend({rate} & seen)
        seen.add(rate)
        return "not valid" if busy else "missed" if rate > 100 else "kept"

    result = searched(once, 60)
    assert result.best is None
    assert result.limited_by_generator


def test_a_server_that_never_keeps_it_has_no_rate() -> None:
    assert searched(lambda rate: "missed", 100).best is None


def test_a_slow_generator_is_told_apart_from_a_slow_server() -> None:
    result = searched(lambda rate: "kept" if rate <= 100 else "not valid", 60)
    assert result.best is not None
    assert result.limited_by_generator


def test_rates_that_would_take_too_long_are_not_tried() -> None:
    result = searched(lambda rate: "kept" if rate <= 1.5 else "missed", 1.2)
    assert result.best is None
    assert [point.rate for point in result.points] == [LOWEST_RATE]


def test_a_rate_that_the_generator_could_not_send_is_reported_with_the_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best, above = point(100, "kept"), replace(point(110, "not valid"), why="it was late")
    workload = Workload([RequestSet(Target("http://host", None), "m", [], None)], [1.0], [])
    result = Search([best, above, best], best, limited_by_generator=True)
    assert conclude(workload, result, {}, Namespace(p99=100.0, min_rps=None, out=tmp_path)) == 3
    highest_rate, not_valid = capsys.readouterr().out.splitlines()[-2:]
    assert highest_rate.startswith("100.0 requests/s keep p99 within 100 ms")
    assert not_valid == "not valid: a higher rate could not be tried: it was late"
    assert "too slow for a higher rate than 100 requests/s" in (tmp_path / "slo.html").read_text()


def test_a_generator_too_slow_for_the_last_rate_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workload = Workload([RequestSet(Target("http://host", None), "m", [], None)], [1.0], [])
    result = Search([replace(point(110, "not valid"), why="it was late")], None, limited_by_generator=True)
    assert conclude(workload, result, {}, Namespace(p99=100.0, min_rps=None, out=tmp_path)) == 3
    assert capsys.readouterr().out.splitlines()[-1] == "not valid: a rate could not be tried: it was late"
    assert "too slow for the last rate tried" in (tmp_path / "slo.html").read_text()


@pytest.mark.parametrize(("text", "value"), [("100ms", 100), ("0.1s", 100), ("250", 250)])
def test_a_bound_has_a_unit(text: str, value: float) -> None:
    assert milliseconds(text) == pytest.approx(value)


def slo(url: str, tmp_path: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    (tmp_path / "texts.txt").write_text("hello\n")
    where = ["--url", url, "--store", str(tmp_path), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "loadtest.slo", "--model", "m", "--texts", str(tmp_path / "texts.txt"), *where]
    result = subprocess.run([*command, *options], capture_output=True, text=True, timeout=500, check=False)
    assert (tmp_path / "out" / "slo.json").is_file(), result.stdout + result.stderr
    return result, json.loads((tmp_path / "out" / "slo.json").read_text())


def test_the_known_capacity_of_a_server_is_measured(tmp_path: Path) -> None:
    """Use a stub that answers 600 requests a second one after the other, each after at least 100 ms."""
    with stub(Behaviour(capacity=600, delay=0.1)) as url:
        result, metrics = slo(url, tmp_path, "--p99", "130ms", "--seconds", "3")
    assert result.returncode in {0, 3}, result.stdout + result.stderr
    assert metrics["points"][-1]["failures"] == 0
    assert metrics["scenarios"]["offline"]["requests_per_second"] == pytest.approx(600, rel=0.2)
    assert metrics["scenarios"]["single-stream"]["p50"] >= 100
    if result.returncode == 0:
        assert 300 < metrics["requests_per_second"] < 600
    assert "Rates tried, in order" in (tmp_path / "out" / "slo.html").read_text()
