"""Defines the Locust users of a load test: `python -m loadtest` starts Locust with this file and a workload.

Locust rounds its own statistics: here every request is recorded exactly, and a worker's records go to its master.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
import numpy as np
from locust import FastHttpUser, LoadTestShape, constant, events, task
from locust.env import Environment
from locust.rpc import Message
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner
from locust.stats import CSV_STATS_INTERVAL_SEC

from loadtest.checks import response_error
from loadtest.generator import LoadGenerator, Meter, Run
from loadtest.locust_run import RESULT, WORKLOAD
from loadtest.recording import Recorder, Recording, merged, unpacked
from loadtest.stages import load_at
from loadtest.workload import Workload

WORK = Workload.read(Path(os.environ[WORKLOAD]))
REQUESTS = [[(sample, json.dumps(sample.request)) for sample in requests.samples] for requests in WORK.sets]
HEADERS = WORK.target.headers
NUMBERS = {requests.path: number for number, requests in enumerate(WORK.sets)}
# Seconds between two looks of a process at how late it wakes up.
PROBE_SECONDS = 0.05
# Messages of the master and its workers, and the seconds that they may take beside the last requests.
FINISH, FINISHED = "finish", "finished"
FINISH_SECONDS = 10


class ModelUser(FastHttpUser):
    """Sends the samples, by chance one model's or another's, and checks every answer."""

    host = WORK.target.url
    wait_time = constant(0)
    network_timeout = connection_timeout = WORK.timeout

    @task
    def predict(self) -> None:
        (requests,) = random.choices(WORK.sets, WORK.shares)
        sample, body = random.choice(REQUESTS[NUMBERS[requests.path]])
        with self.client.post(requests.path, data=body, headers=HEADERS, catch_response=True) as response:
            if error := response_error(response.status_code, response.content, sample, requests.labels):
                response.failure(error)


class Stages(LoadTestShape):
    """Gives Locust the workload's load over time, in users."""

    def tick(self) -> tuple[int, float] | None:
        load = load_at(WORK.stages, self.get_run_time())
        users = None if load is None else max(1, round(load))
        return None if users is None else (users, users)


class Records:
    """Records the requests and the lag of this process, from the beginning of the test to its end."""

    def __init__(self) -> None:
        self._recorder = Recorder()
        self._watching = True
        self.begin()

    def begin(self, **_: Any) -> None:
        self.origin = time.time()
        self._meter = Meter()
        self._lag: list[float] = []

    def end(self, **_: Any) -> None:
        """Stop the clocks, before users are stopped and results are written, which is no load."""
        self._meter.stop()
        self._watching = False

    def add(self, name: str, response_time: float, start_time: float, exception: object, **_: Any) -> None:
        reason = None if exception is None else str(exception)
        self._recorder.add(start_time - self.origin, response_time / 1000, 0.0, NUMBERS[name], reason)

    def watch(self) -> None:
        while self._watching:
            due = time.perf_counter() + PROBE_SECONDS
            gevent.sleep(PROBE_SECONDS)
            self._lag.append(time.perf_counter() - due)

    def recording(self) -> Recording:
        return self._recorder.recording()

    def generator(self) -> LoadGenerator:
        return LoadGenerator([self._meter.cores()], np.array(self._lag), closed=True)

    def message(self) -> dict[str, Any]:
        generator = self.generator()
        return self.recording().packed() | {"lags": generator.lag.tobytes(), "cores": generator.cores[0]}


@events.init.add_listener
def record(environment: Environment, **_: Any) -> None:
    """Record this process; where there are workers, their master writes the run, else the only process does."""
    records, runner = Records(), environment.runner
    environment.events.test_start.add_listener(records.begin)
    environment.events.test_stopping.add_listener(records.end)
    environment.events.request.add_listener(records.add)
    gevent.spawn(records.watch)
    if isinstance(runner, WorkerRunner):
        finish_when_asked(runner, records)
        return
    workers = Workers(runner) if isinstance(runner, MasterRunner) else None

    def write(**_: Any) -> None:
        # Locust writes its CSV files once a second: without this they would end before the run did.
        gevent.sleep(CSV_STATS_INTERVAL_SEC + 0.1)
        if workers and not workers.complete:
            result: Run | str = "the last requests of a worker did not come: it ended, or takes too long"
        else:
            generator = workers.generator(records) if workers else records.generator()
            recording = workers.recording() if workers else records.recording()
            result = Run(recording.between(0, WORK.seconds), generator, records.origin)
        Path(os.environ[RESULT]).write_bytes(pickle.dumps(result))

    environment.events.quit.add_listener(write)


def finish_when_asked(runner: WorkerRunner, records: Records) -> None:
    """Have a worker send its records, counted from its own beginning, once its users have their last answers."""

    def finish(**_: Any) -> None:
        runner.stop()
        runner.send_message(FINISHED, records.message())

    runner.register_message(FINISH, finish, concurrent=True)  # heartbeats of the master go on


class Workers:
    """Collects the records of a master's workers before the master ends.

    They begin when the master's first message comes: that they count from then on needs no comparison of clocks.
    """

    def __init__(self, runner: MasterRunner) -> None:
        self._runner = runner
        self._expected: set[str] = set()
        self._messages: dict[str, Mapping[str, Any]] = {}
        runner.register_message(FINISHED, self._receive)
        runner.environment.events.test_start.add_listener(self._begin)
        runner.environment.events.test_stopping.add_listener(self._finish)

    @property
    def complete(self) -> bool:
        """True if the records of every worker that the test began with have come."""
        return bool(self._expected) and self._expected <= set(self._messages)

    def recording(self) -> Recording:
        return merged([unpacked(message) for message in self._messages.values()])

    def generator(self, master: Records) -> LoadGenerator:
        """Return what the processes are together; that a master, which sends nothing, is on time says nothing."""
        lag = np.concatenate([np.frombuffer(message["lags"]) for message in self._messages.values()])
        cores = [*(message["cores"] for message in self._messages.values()), *master.generator().cores]
        return LoadGenerator(cores, lag, closed=True)

    def _begin(self, **_: Any) -> None:
        self._expected = set(self._runner.clients)

    def _receive(self, msg: Message, **_: Any) -> None:
        self._messages[msg.node_id] = msg.data

    def _finish(self, **_: Any) -> None:
        """Wait for the records: from here on Locust's own master would listen for half a second only."""
        self._runner.send_message(FINISH)
        with gevent.Timeout(self._runner.environment.stop_timeout + FINISH_SECONDS, False):
            while any(self._is_alive(client) for client in self._expected - set(self._messages)):
                gevent.sleep(0.1)

    def _is_alive(self, client: str) -> bool:
        return client in self._runner.clients and self._runner.clients[client].state != STATE_MISSING
