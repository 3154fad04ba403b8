"""Runs Locust in processes of its own: Locust changes Python's sockets and threads for all of a process."""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from math import ceil
from pathlib import Path

from archives.serving import ports
from loadtest.errors import LoadTestError
from loadtest.generator import Run
from loadtest.workload import Workload

USERS = Path(__file__).with_name("users.py")
# Environment variables that name the files for users.py: the workload's, and that of the recorded run.
WORKLOAD, RESULT = "LOADTEST_WORKLOAD", "LOADTEST_RESULT"
SPARE_SECONDS = 5


def run(workload: Workload, arguments: argparse.Namespace) -> Run | None:
    """Run Locust and return what was recorded; None on a worker, which has sent that to its master.

    Raises:
        LoadTestError: Locust failed, or its workers did not come.
    """
    with tempfile.TemporaryDirectory(prefix="loadtest-") as temporary:
        result, written = Path(temporary, "run.pickle"), Path(temporary, "workload.json")
        workload.write(written)
        environment = os.environ | {WORKLOAD: str(written), RESULT: str(result)}
        log = arguments.out / ("worker.log" if arguments.worker else "locust.log")
        with log.open("w", encoding="utf-8") as output:
            code = _wait(command(workload, arguments), environment, output.fileno())
        if code == 0 and arguments.worker:
            return None
        if code != 0 or not result.is_file():
            lines = log.read_text(encoding="utf-8").strip().splitlines() or ["no output"]
            raise LoadTestError(f"Locust ended with code {code}, see {log}: {lines[-1]}")
        with result.open("rb") as file:  # written by users.py into this private folder
            finished: Run | str = pickle.load(file)
        if isinstance(finished, str):
            raise LoadTestError(f"{finished}; see {log}")
        return finished


def command(workload: Workload, arguments: argparse.Namespace) -> list[str]:
    """Return Locust's command line for a run in one process, in several, as a master or as a worker."""
    locust = [sys.executable, "-m", "locust", "-f", str(USERS), "--headless", "--only-summary", "--loglevel", "WARNING"]
    if arguments.worker:
        master = ["--master-host", arguments.master_host, "--master-port", str(arguments.master_port)]
        return [*locust, "--worker", *master]
    # A user that Locust has to stop leaves no record of its request, which takes the timeout twice at most: to connect,
    # and to be answered.
    patience = str(ceil(2 * workload.timeout) + SPARE_SECONDS)
    locust += ["--stop-timeout", patience, "--exit-code-on-error", "0", "--csv", str(arguments.out / "locust")]
    if arguments.master:
        locust += ["--master", "--expect-workers", str(arguments.expect_workers), "--expect-workers-max-wait", "60"]
        return [*locust, "--master-bind-port", str(arguments.master_port)]
    if arguments.processes > 1:
        (port,) = map(str, ports.free_ports(ports.LOOPBACK, 1))
        locust += ["--processes", str(arguments.processes), "--master-bind-host", ports.LOOPBACK]
        locust += ["--master-bind-port", port, "--master-port", port]
    return locust


def _wait(command: list[str], environment: dict[str, str], output: int) -> int:
    """Wait for Locust's end; it gets Ctrl-C too, and then ends its run and still writes its reports."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    )
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
