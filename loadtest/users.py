"""The Locust users of a load test. `python -m loadtest` starts Locust with this file and writes the plan it reads."""

from __future__ import annotations

import itertools
import json
import os
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, constant, constant_throughput, events, task
from locust.env import Environment
from locust.runners import WorkerRunner
from locust.stats import CSV_STATS_INTERVAL_SEC

from loadtest.checks import fault, refusal
from loadtest.plan import VARIABLE, Plan
from loadtest.thresholds import Summary

PLAN = Plan.read(Path(os.environ[VARIABLE]))
REQUESTS = [(sample, json.dumps(sample.request)) for sample in PLAN.samples]
HEADERS = PLAN.target.headers


class ModelUser(FastHttpUser):
    """Sends the samples in an order of its own and checks every answer."""

    host = PLAN.target.url
    wait_time = constant(0) if PLAN.user_rate is None else constant_throughput(PLAN.user_rate)

    def on_start(self) -> None:
        self.requests = itertools.cycle(random.sample(REQUESTS, len(REQUESTS)))
        if PLAN.user_rate is not None:
            # Users start together; without this they would send together for ever.
            gevent.sleep(random.uniform(0, 1 / PLAN.user_rate))

    @task
    def predict(self) -> None:
        sample, body = next(self.requests)
        with self.client.post(PLAN.path, data=body, headers=HEADERS, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(refusal(response.status_code, response.content))
                return
            try:
                answer = response.json()
            except ValueError:
                response.failure("the answer is no JSON")
                return
            if reason := fault(answer, sample, PLAN.labels):
                response.failure(reason)


@events.init.add_listener
def report(environment: Environment, **_: Any) -> None:
    """Whoever has the statistics of all processes writes the summary at the end: a worker has only its own."""
    if isinstance(environment.runner, WorkerRunner):
        return

    def write(**_: Any) -> None:
        # Locust writes its CSV files once a second: without this they would end before the run did.
        gevent.sleep(CSV_STATS_INTERVAL_SEC + 0.1)
        Path(PLAN.result).write_text(json.dumps(asdict(summarise(environment))), encoding="utf-8")

    environment.events.quit.add_listener(write)


def summarise(environment: Environment) -> Summary:
    """The totals of a finished run."""
    total = environment.stats.total
    p50, p95, p99 = (float(total.get_response_time_percentile(share)) for share in (0.5, 0.95, 0.99))
    errors = {str(error.error): error.occurrences for error in environment.stats.errors.values()}
    return Summary(total.num_requests, total.num_failures, round(total.total_rps, 2), p50, p95, p99, errors)
