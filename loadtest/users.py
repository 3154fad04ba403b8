"""The Locust users of a load test. `python -m loadtest` starts Locust with this file and writes the job it reads."""

from __future__ import annotations

import json
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
from locust.runners import WorkerRunner
from locust.stats import CSV_STATS_INTERVAL_SEC

from loadtest.checks import answer_fault
from loadtest.generator import Generator, Meter, Run
from loadtest.plan import JOB, RESULT, Job
from loadtest.recording import Recorder, Recording, merged, unpacked
from loadtest.stages import load_at

WORK = Job.read(Path(os.environ[JOB]))
REQUESTS = [[(sample, json.dumps(sample.request)) for sample in plan.samples] for plan in WORK.plans]
HEADERS = WORK.target.headers
NUMBERS = {plan.path: number for number, plan in enumerate(WORK.plans)}
# How often each process looks whether it wakes up in time.
PROBE_SECONDS = 0.05


class ModelUser(FastHttpUser):
    """Sends the samples, by chance one model's or another's, and checks every answer."""

    host = WORK.target.url
    wait_time = constant(0)

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
        self._meter = Meter()
        self._recorder = Recorder()
        self._late: list[float] = []
        self._received: list[Recording] = []
        self._late_of_workers: list[np.ndarray] = []
        self._watching = True
        self._cores_of_workers: dict[str, float] = {}

    def begin(self, **_: Any) -> None:
        self.origin = time.time()
        self._meter = Meter()
        self._late, self._late_of_workers = [], []

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
        probes = np.array(self._late).tobytes()
        data["records"] = self._recorder.recording().packed() | {"probes": probes, "cores": self._meter.cores()}
        self._recorder, self._late = Recorder(), []

    def receive(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        """A worker's message."""
        if message := data.get("records"):
            self._received.append(unpacked(message))
            self._late_of_workers.append(np.frombuffer(message["probes"]))
            self._cores_of_workers[client_id] = message["cores"]

    def run(self) -> Run:
        """All of it, counted from the beginning."""
        recording = merged([*self._received, self._recorder.recording()]).shifted(-self.origin)
        cores = [*self._cores_of_workers.values(), self._meter.cores()]
        # A master with workers sends nothing: that it is idle says nothing.
        late = np.concatenate(self._late_of_workers or [np.array(self._late)])
        return Run(recording.between(0, WORK.seconds), Generator(cores, late, closed=True), self.origin)


@events.init.add_listener
def record(environment: Environment, **_: Any) -> None:
    """Whoever has the records of all processes writes them at the end: a worker has only its own."""
    records = Records()
    environment.events.test_start.add_listener(records.begin)
    environment.events.test_stopping.add_listener(records.end)
    environment.events.request.add_listener(records.keep)
    gevent.spawn(records.watch)
    if isinstance(environment.runner, WorkerRunner):
        environment.events.report_to_master.add_listener(records.give)
        return

    def write(**_: Any) -> None:
        # Locust writes its CSV files once a second: without this they would end before the run did.
        gevent.sleep(CSV_STATS_INTERVAL_SEC + 0.1)
        Path(os.environ[RESULT]).write_bytes(pickle.dumps(records.run()))

    environment.events.worker_report.add_listener(records.receive)
    environment.events.quit.add_listener(write)
