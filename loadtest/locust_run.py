"""Runs Locust on a job, in processes of its own: Locust changes Python's sockets and threads for all of a process."""

from __future__ import annotations

import argparse
import os
import pickle
import socket
import subprocess
import sys
import tempfile
from math import ceil
from pathlib import Path

from loadtest.errors import LoadTestError
from loadtest.generator import Run
from loadtest.plan import JOB, RESULT, Job

USERS = Path(__file__).with_name("users.py")
SPARE_SECONDS = 5


def run(job: Job, arguments: argparse.Namespace) -> Run | None:
    """What was recorded of a finished run, None on a worker, which has sent that to its master.

    Raises:
        LoadTestError: Locust failed, or its workers did not come.
    """
    with tempfile.TemporaryDirectory(prefix="loadtest-") as temporary:
        result, written = Path(temporary, "run.pickle"), Path(temporary, "job.json")
        job.write(written)
        environment = os.environ | {JOB: str(written), RESULT: str(result)}
        log = arguments.out / ("worker.log" if arguments.worker else "locust.log")
        with log.open("w", encoding="utf-8") as output:
            code = _wait(command(job, arguments), environment, output.fileno())
        if code == 0 and arguments.worker:
            return None
        if code != 0 or not result.is_file():
            lines = log.read_text(encoding="utf-8").strip().splitlines() or ["no output"]
            raise LoadTestError(f"Locust ended with code {code}, see {log}: {lines[-1]}")
        with result.open("rb") as file:  # written by users.py into this private folder
            finished: Run = pickle.load(file)
        return finished


def command(job: Job, arguments: argparse.Namespace) -> list[str]:
    """Locust's command line for a run in one process, in several, as a master or as a worker."""
    locust = [sys.executable, "-m", "locust", "-f", str(USERS), "--headless", "--only-summary", "--loglevel", "WARNING"]
    if arguments.worker:
        return [
            *locust,
            "--worker",
            "--master-host",
            arguments.master_host,
            "--master-port",
            str(arguments.master_port),
        ]
    # A user that Locust has to stop leaves no record of its request, which takes the timeout twice at most: to connect,
    # and to be answered.
    patience = str(ceil(2 * job.timeout) + SPARE_SECONDS)
    locust += ["--stop-timeout", patience, "--exit-code-on-error", "0", "--csv", str(arguments.out / "locust")]
    if arguments.master:
        locust += ["--master", "--expect-workers", str(arguments.expect_workers), "--expect-workers-max-wait", "60"]
        return [*locust, "--master-bind-port", str(arguments.master_port)]
    if arguments.processes > 1:
        port = str(_free_port())
        locust += ["--processes", str(arguments.processes), "--master-bind-host", "127.0.0.1"]
        locust += ["--master-bind-port", port, "--master-port", port]
    return locust


def _wait(command: list[str], environment: dict[str, str], output: int) -> int:
    """Ctrl-C reaches Locust too, which then ends its run and still writes its reports."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    )
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
