"""Wait until a server is ready: every model's workers are loaded, and golden requests get the expected answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

import requests

from archives.errors import ServerError
from archives.serving import diagnosis, management, tokens
from archives.serving.record import Server
from archives.store import StoredModel
from handlers.golden import golden_mismatch

POLL_SECONDS = 0.1
TRACEBACK_SECONDS = 0.5  # for the traceback, which is logged after the line that reports the failure
# Share of the golden requests that must get the expected answer. A worker never serves an INT8 model that is further
# from fp32 than at export; but on a processor that rounds differently, it may be as far off in the other direction.
REQUIRED_AGREEMENT = 0.75
FALLBACK = "serving_fp32_fallback"  # metric in configs/serving/metrics.yaml; 1 for a worker that serves fp32


def wait_until_ready(
    server: Server,
    models: Sequence[StoredModel],
    alive: Callable[[], bool],
    timeout: float,
    report: Callable[[str], None],
) -> None:
    """Return once every model has answered its golden requests; `report` gets a line for each step.

    Raises:
        ServerError: a worker failed (raised at once, with the worker's message), or `timeout` seconds have passed.
    """
    deadline = time.monotonic() + timeout
    try:
        with tokens.local_session() as session:
            for model in models:
                _wait_for_workers(session, server, model, alive, deadline)
                report(f"{model.name} {model.version}: {server.workers} worker(s) loaded")
            for model in models:
                agreeing, count = _check_golden(session, server, model)
                report(f"{model.name} {model.version}: {agreeing} of {count} golden requests answered as expected")
                if _serves_fp32(session, server, model):
                    report(
                        f"{model.name} {model.version}: serves fp32, slower, as INT8 is wrong on this machine; "
                        f"{server.logs / 'workers.log'} says why"
                    )
    except requests.RequestException as error:
        raise ServerError(f"TorchServe does not answer: {error}\n{diagnosis.last_lines(server.logs)}") from error


def _wait_for_workers(
    session: requests.Session, server: Server, model: StoredModel, alive: Callable[[], bool], deadline: float
) -> None:
    while not _workers_ready(session, server, model):
        _check_for_failure(server, alive)
        if time.monotonic() > deadline:
            raise ServerError(f"{model.name} was not ready in time\n{diagnosis.last_lines(server.logs)}")
        time.sleep(POLL_SECONDS)


def _check_for_failure(server: Server, alive: Callable[[], bool]) -> None:
    """Raise ServerError when the logs report a failed worker or archive, or the process is gone."""
    if diagnosis.worker_failure(server.logs):
        time.sleep(TRACEBACK_SECONDS)
        raise ServerError(f"a worker failed while loading its model: {diagnosis.worker_failure(server.logs)}")
    if failure := diagnosis.registration_failure(server.logs):
        raise ServerError(f"TorchServe refused an archive: {failure}")
    if not alive():
        raise ServerError(f"TorchServe ended while starting\n{diagnosis.last_lines(server.logs)}")


def _workers_ready(session: requests.Session, server: Server, model: StoredModel) -> bool:
    try:
        description = management.describe(session, server, model.name, model.version)
    except (requests.RequestException, ServerError):
        return False
    if description is None:
        return False
    if description["minWorkers"] != server.workers:
        # Worker counts in the archive's model-config.yaml override those of the server's configuration.
        management.scale(session, server, model.name, model.version)
        return False
    return [worker["status"] for worker in description["workers"]] == ["READY"] * server.workers


def _check_golden(session: requests.Session, server: Server, model: StoredModel) -> tuple[int, int]:
    """Return how many golden requests got the expected answer, and how many were sent.

    They are sent one by one, at least two per worker: idle workers take turns, so each of them answers some.
    """
    count = max(2 * server.workers, len(model.golden))
    pairs = [model.golden[index % len(model.golden)] for index in range(count)]
    headers = {"Authorization": tokens.bearer(server)}
    wrong = []
    for pair in pairs:
        response = session.post(
            f"{server.url}/predictions/{model.name}/{model.version}", json=pair["request"], headers=headers, timeout=60
        )
        if not response.ok:
            why = diagnosis.worker_failure(server.logs) or response.text.strip()
            raise ServerError(f"{model.name} answered a golden request with status {response.status_code}: {why}")
        if reason := golden_mismatch(response.json(), pair):
            wrong.append(reason)
    if len(wrong) > (1 - REQUIRED_AGREEMENT) * count:
        raise ServerError(
            f"{model.name} answers {len(wrong)} of {count} golden requests wrongly, the first: {wrong[0]}; "
            "if this processor rounds INT8 differently from the one of the export, export the model on this one"
        )
    return count - len(wrong), count


def _serves_fp32(session: requests.Session, server: Server, model: StoredModel) -> bool:
    """Return whether a worker reports that it fell back to fp32; False for archives without that metric."""
    metrics = session.get(server.metrics_url, timeout=10).text
    return bool(re.search(rf'^{FALLBACK}{{.*ModelName="{re.escape(model.name)}".*}} 1', metrics, re.MULTILINE))
