"""Test Locust's users against a server with known delays."""

from __future__ import annotations

import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from loadtest import locust_run
from loadtest.errors import LoadTestError
from loadtest.samples import Sample
from loadtest.stages import Stage
from loadtest.target import Target
from loadtest.workload import RequestSet, Workload
from tests.support.stub import Behaviour, requests_to, stub


def test_unanswered_requests_are_failures(tmp_path: Path) -> None:
    """Let the stub answer four users for half a second."""
    alone = Namespace(worker=False, master=False, processes=1, out=tmp_path)
    with stub(Behaviour(stall_at=0.5, stall=1000)) as url:
        requests = RequestSet(Target(url, None), "m", [Sample({"text": "x"}, None)], None)
        run = locust_run.run(Workload([requests], [1.0], [Stage(2, 4)], timeout=1), alone)
    assert run is not None
    assert run.recording.right.any()
    errors = run.recording.errors()
    assert list(errors) == ["no answer"]
    assert errors["no answer"] >= 4


def test_a_run_whose_worker_dies_is_no_result(tmp_path: Path) -> None:
    """Refuse such a run, since the remaining workers have fewer users than requested."""
    two = Namespace(worker=False, master=False, processes=2, out=tmp_path)
    with stub(Behaviour(delay=0.01)) as url, ThreadPoolExecutor() as pool:
        requests = RequestSet(Target(url, None), "m", [Sample({"text": "x"}, None)], None)
        running = pool.submit(locust_run.run, Workload([requests], [1.0], [Stage(4, 4)], timeout=1), two)
        deadline = time.monotonic() + 30
        while requests_to(url) < 10:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (master,) = (process for process in psutil.Process().children() if "locust" in process.cmdline())
        master.children()[0].kill()
        with pytest.raises(LoadTestError, match="the last requests of a worker did not come"):
            running.result()
