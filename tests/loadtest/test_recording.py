"""Test that requests are recorded exactly, and combined from several processes."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from loadtest.generator import LoadGenerator, Run, together
from loadtest.monitor import Reading, Work
from loadtest.recording import Recorder, Recording, merged, unpacked
from loadtest.report.pictures import _throughput
from loadtest.stages import Stage
from loadtest.timeline import memory_growth, timeline


def recorded(*requests: tuple[float, float, str | None]) -> Recording:
    recorder = Recorder()
    for start, latency, reason in requests:
        recorder.add(start, latency, 0.001, 0, reason)
    return recorder.recording()


ONE = recorded((2.0, 0.5, None), (1.0, 0.25, "status 503"))
TWO = recorded((1.5, 0.1, "wrong"), (0.5, 0.2, "status 503"), (3.0, 0.3, None))


def test_recordings_of_two_processes_become_one_in_order() -> None:
    both = merged([unpacked(ONE.packed()), unpacked(TWO.packed())])
    assert both.start.tolist() == [0.5, 1.0, 1.5, 2.0, 3.0]
    assert both.latency.tolist() == [0.2, 0.25, 0.1, 0.5, 0.3]
    assert both.errors() == {"status 503": 2, "wrong": 1}
    assert both.right.tolist() == [False, False, False, True, True]


def test_an_empty_recording_changes_nothing() -> None:
    assert merged([recorded(), ONE]).errors() == {"status 503": 1}
    assert len(merged([recorded()])) == 0


def test_every_request_is_a_line(tmp_path: Path) -> None:
    ONE.write_csv(tmp_path / "requests.csv.gz", ["intent"])
    with gzip.open(tmp_path / "requests.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    assert [(row["intended_s"], row["latency_ms"], row["model"], row["error"]) for row in rows] == [
        ("1.000000", "250.000", "intent", "status 503"),
        ("2.000000", "500.000", "intent", ""),
    ]


def test_over_time_requests_count_when_sent_and_answers_when_received() -> None:
    run = Run(
        recorded((0.9, 0.3, None), (0.2, 0.1, None), (1.5, 0.1, "x")), LoadGenerator([0.1], np.zeros(3)), origin=100
    )
    work = Work(requests=30, batches=3, tokens=60, run_tokens=80)
    readings = [Reading(100.5, 0.5, 1.5, 300.0, work), Reading(101.5, 0.7, 1.0, 340.0, None), Reading(105, 1.0)]
    first, second = timeline(run, [Stage(2, 5)], readings)
    assert (first.asked, first.answered, first.failures) == (2, 1, 0)
    assert (second.asked, second.answered, second.failures, second.p99) == (1, 1, 1, None)
    assert first.p50 == pytest.approx(200)
    assert (first.batch_size, first.padding, first.server_cores) == (10, 0.25, 1.5)
    assert (second.batch_size, second.machine) == (None, 0.7)
    assert memory_growth([first, second]) == 40


def test_a_long_run_has_longer_parts() -> None:
    run = Run(recorded((3599.5, 0.1, None)), LoadGenerator([0.1], np.zeros(1)), origin=0)
    parts = timeline(run, [Stage(3600, 1)], [])
    assert len(parts) == 120
    assert sum(part.answered * 30 for part in parts) == pytest.approx(1, abs=0.2)
    assert memory_growth(parts) is None


def test_failures_are_drawn_as_requests_a_second_over_their_part() -> None:
    run = Run(recorded((0.5, 0, "x"), (1.5, 0, "x"), (2.5, 0, "x")), LoadGenerator([0.1], np.zeros(1)), origin=0)
    (axis,) = _throughput(timeline(run, [Stage(240, 1)], []), 240).axes
    bars = [bar for bar in axis.patches if isinstance(bar, Rectangle)]
    assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in bars[:3]] == [(0, 2, 1), (2, 2, 0.5), (4, 2, 0)]


def test_a_delayed_or_busy_generator_makes_a_run_invalid() -> None:
    on_time, delayed = np.full(1000, 0.001), np.concatenate((np.full(970, 0.001), np.full(30, 0.05)))
    assert LoadGenerator([0.5, 0.6], on_time).problems(0.05, p99=0.1) == []
    (busy,) = LoadGenerator([0.2, 0.95], on_time).problems(0.05, p99=0.1)
    assert "busy for 95%" in busy
    (behind,) = LoadGenerator([0.1], delayed).problems(0.05, p99=0.1)
    assert "more than 10 ms late for 3.0% of the requests" in behind
    # Compared with latencies of a second, 50 ms are negligible.
    assert LoadGenerator([0.1], delayed).problems(0.05, p99=1.0) == []
    # One delayed request among 20 is chance.
    assert LoadGenerator([0.1], np.array([0.05] + [0.001] * 19)).problems(0.05, p99=0.1) == []
    both = together([LoadGenerator([0.1], on_time), LoadGenerator([0.2], delayed)])
    assert (len(both.lag), list(both.cores)) == (2000, [0.1, 0.2])


def test_users_may_be_delayed_by_less_than_half_of_the_measured_latency() -> None:
    users = LoadGenerator([0.3], np.full(100, 0.02), closed=True)
    assert users.problems(p50=0.05, p99=0.1) == []
    (behind,) = users.problems(p50=0.03, p99=0.1)
    assert "20 ms late on average, of 30 ms measured" in behind
    # The generator is not to blame for a machine that is busy for a moment.
    assert LoadGenerator([0.3], np.full(100, 0.005), closed=True).problems(p50=0.006, p99=0.1) == []
