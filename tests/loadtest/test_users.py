"""Locust's users against a server whose delays are known."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from loadtest import locust_run
from loadtest.plan import Job, Plan
from loadtest.samples import Sample
from loadtest.stages import Stage
from loadtest.target import Target
from tests.loadtest.stub import Behaviour, stub


def test_requests_that_nobody_answers_are_failures(tmp_path: Path) -> None:
    """Four users, who get answers for half a second."""
    alone = Namespace(worker=False, master=False, processes=1, out=tmp_path)
    with stub(Behaviour(stall_at=0.5, stall=1000)) as url:
        plan = Plan(Target(url, None), "m", [Sample({"text": "x"}, None)], None)
        run = locust_run.run(Job([plan], [1.0], [Stage(2, 4)], timeout=1), alone)
    assert run is not None
    assert run.recording.right.any()
    errors = run.recording.errors()
    assert list(errors) == ["no answer"]
    assert errors["no answer"] >= 4
