"""The Locust users of a load test. `python -m loadtest` starts Locust with this file and writes the job it reads."""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import time
from pathlib import Path
from typing import Any

import gevent
import numpy as np
from locust import FastHttpUser, LoadTestShape, constant, events, task
from locust.env import Environment
from locust.rpc import Message
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner
from locust.stats import CSV_STATS_INTERVAL_SEC

from loadtest.checks import answer_fault
from loadtest.generator import Generator, Meter, Run
from loadtest.plan import JOB, RESULT, Job
from loadtest.recording import Recorder, merged
from loadtest.stages import load_at
from loadtest.workers import Reports

WORK = Job.read(Path(os.environ[JOB]))
REQUESTS = [[(sample, json.dumps(sample.request)) for sample in plan.samples] for plan in WORK.plans]
HEADERS = WORK.target.headers
NUMBERS = {plan.path: number for number, plan in enumerate(WORK.plans)}
# How often each process looks whether it wakes up in time.
PROBE_SECONDS = 0.05
# Messages of the master and of its workers, and the seconds that they may take beside the last requests.
FINISH, FINISHED = "finish", "finished"
FINISH_SECONDS = 10


class ModelUser(FastHttpUser):
    """Sends the samples, by chance one model's or another's, and checks every answer."""

    host = WORK.target.url
    wait_time = constant(0)
    network_timeout = connection_timeout = WORK.timeout

    @task
    def predict(self) -> None:
        (plan,) = random.choices(WORK.plans, WORK.shares)
        sample, body = random.choice(REQUESTS[NUMBERS[plan.path]])
        with self.client.post(plan.path, data=body, headers=HEADERS, catch_response=True) as response:
            if reason := answer_fault(response.status_code, response.content, sample, plan.labels):
                response.failure(reason)


class Stages(LoadTestShape):
    """The job's load over time, in users."""

    def tick(self) -> tuple[int, float] | None:
        load = load_at(WORK.stages, self.get_run_time())
        users = None if load is None else max(1, round(load))
        return None if users is None else (users, users)


class Records:
    """Every request exactly, which Locust's own statistics round; a worker's go to the master with them."""

    def __init__(self) -> None:
        self.origin = time.time()
        self.whole = True
        self._meter = Meter()
        self._recorder = Recorder()
        self._late: list[float] = []
        self._reports = Reports()
        self._watching = True

    def begin(self, **_: Any) -> None:
        self.origin = time.time()
        self._meter = Meter()
        self._late, self._reports = [], Reports()

    def end(self, **_: Any) -> None:
        """Before users are stopped and results are written, which is no load."""
        self._meter.stop()
        self._watching = False

    def keep(self, name: str, response_time: float, start_time: float, exception: object, **_: Any) -> None:
        reason = None if exception is None else str(exception)
        self._recorder.add(start_time, response_time / 1000, 0.0, NUMBERS[name], reason)

    def watch(self) -> None:
        """Until the test ends; what was seen before it began is forgotten."""
        while self._watching:
            due = time.perf_counter() + PROBE_SECONDS
            gevent.sleep(PROBE_SECONDS)
            self._late.append(time.perf_counter() - due)

    def give(self, data: dict[str, Any], **_: Any) -> None:
        """What a worker adds to its next message."""
        own = {"probes": np.array(self._late).tobytes(), "cores": self._meter.cores(), "now": time.time()}
        data["records"] = self._recorder.recording().packed() | own
        self._recorder, self._late = Recorder(), []

    def receive(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        """A worker's message."""
        if message := data.get("records"):
            self._reports.add(client_id, message, time.time())

    def run(self) -> Run:
        """All of it, counted from the beginning."""
        recording = merged([*self._reports.recordings(), self._recorder.recording()]).shifted(-self.origin)
        cores = [*self._reports.cores.values(), self._meter.cores()]
        # A master with workers sends nothing: that it is idle says nothing.
        late = np.concatenate(self._reports.late or [np.array(self._late)])
        return Run(recording.between(0, WORK.seconds), Generator(cores, late, closed=True), self.origin)


@events.init.add_listener
def record(environment: Environment, **_: Any) -> None:
    """Whoever has the records of all processes writes them at the end: a worker has only its own."""
    records, runner = Records(), environment.runner
    environment.events.test_start.add_listener(records.begin)
    environment.events.test_stopping.add_listener(records.end)
    environment.events.request.add_listener(records.keep)
    gevent.spawn(records.watch)
    if isinstance(runner, WorkerRunner):
        environment.events.report_to_master.add_listener(records.give)
        finish_when_asked(runner, records)
        return
    if isinstance(runner, MasterRunner):
        environment.events.worker_report.add_listener(records.receive)
        ask_to_finish(runner, records)

    def write(**_: Any) -> None:
        # Locust writes its CSV files once a second: without this they would end before the run did.
        gevent.sleep(CSV_STATS_INTERVAL_SEC + 0.1)
        if not records.whole:
            # What `locust_run` shows is the last line.
            logging.error("the last requests of a worker did not come: it ended, or takes too long")
            return
        Path(os.environ[RESULT]).write_bytes(pickle.dumps(records.run()))

    environment.events.quit.add_listener(write)


def finish_when_asked(runner: WorkerRunner, records: Records) -> None:
    """A worker sends its last records when its users have their answers."""

    def finish(**_: Any) -> None:
        data: dict[str, Any] = {}
        runner.stop()
        records.give(data)
        runner.send_message(FINISHED, data)

    runner.register_message(FINISH, finish, concurrent=True)  # heartbeats of the master go on


def ask_to_finish(runner: MasterRunner, records: Records) -> None:
    """The master waits for them before it ends: from then on Locust's own listens for half a second only."""
    expected: set[str] = set()
    finished: set[str] = set()

    def begin(**_: Any) -> None:
        expected.update(runner.clients)

    def receive(msg: Message, **_: Any) -> None:
        records.receive(msg.node_id, msg.data)
        finished.add(msg.node_id)

    def finish(**_: Any) -> None:
        runner.send_message(FINISH)
        with gevent.Timeout(runner.environment.stop_timeout + FINISH_SECONDS, False):
            while any(alive(client) for client in expected - finished):
                gevent.sleep(0.1)
        records.whole = expected <= finished

    def alive(client: str) -> bool:
        return client in runner.clients and runner.clients[client].state != STATE_MISSING

    runner.register_message(FINISHED, receive)
    runner.environment.events.test_start.add_listener(begin)
    runner.environment.events.test_stopping.add_listener(finish)
