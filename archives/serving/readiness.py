"""Ready means: every model's workers are loaded, and golden requests got the expected answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import requests

from archives.errors import ServerError
from archives.serving import diagnosis, tokens
from archives.serving.record import Server
from archives.store import StoredModel
from handlers.golden import golden_fault

POLL_SECONDS = 0.1
# For what TorchServe says of a model, and as many for each worker on a GPU: it asks nvidia-smi for one after the other.
DESCRIBE_SECONDS = 5
TRACEBACK_SECONDS = 0.5  # its lines come one by one, after the one that tells of the failure
# Share of the golden requests. A worker does not serve an INT8 model that is further from fp32 than at export, but
# where a processor rounds in another way, it may stand as far on the other side of fp32.
REQUIRED_AGREEMENT = 0.75
FALLBACK = "serving_fp32_fallback"  # of configs/serving/metrics.yaml


def wait_until_ready(
    server: Server,
    models: Sequence[StoredModel],
    alive: Callable[[], bool],
    timeout: float,
    report: Callable[[str], None],
) -> None:
    """Returns once every model has answered real predictions.

    Raises:
        ServerError: with the worker's own words, as soon as one failed; or after `timeout` seconds.
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
                        f"{server.logs / 'workers.log'} says what was found"
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
    """Raises ServerError when the logs tell of a failed worker or archive, or the process is gone."""
    if diagnosis.worker_failure(server.logs):
        time.sleep(TRACEBACK_SECONDS)
        raise ServerError(f"a worker failed while loading its model: {diagnosis.worker_failure(server.logs)}")
    if failure := diagnosis.registration_failure(server.logs):
        raise ServerError(f"TorchServe refused an archive: {failure}")
    if not alive():
        raise ServerError(f"TorchServe ended while starting\n{diagnosis.last_lines(server.logs)}")


def describe(session: requests.Session, server: Server, model: str, version: str) -> dict[str, Any] | None:
    """What the management API says about a model version; None where it does not know it.

    Raises:
        requests.RequestException, ServerError: it does not answer, or not yet.
    """
    response = session.get(
        f"{server.management_url}/models/{model}/{version}",
        headers={"Authorization": tokens.bearer(server, "management")},
        timeout=DESCRIBE_SECONDS * (1 + (server.workers if server.gpus else 0)),
    )
    if response.status_code == HTTPStatus.NOT_FOUND:
        return None
    response.raise_for_status()
    return dict(response.json()[0])


def _workers_ready(session: requests.Session, server: Server, model: StoredModel) -> bool:
    try:
        description = describe(session, server, model.name, model.version)
    except (requests.RequestException, ServerError):
        return False
    if description is None:
        return False
    if description["minWorkers"] != server.workers:
        _scale(session, server, model)
        return False
    return [worker["status"] for worker in description["workers"]] == ["READY"] * server.workers


def _scale(session: requests.Session, server: Server, model: StoredModel) -> None:
    """Worker counts of an archive's own model-config.yaml come before those of the server's configuration."""
    response = session.put(
        f"{server.management_url}/models/{model.name}/{model.version}",
        params={"min_worker": server.workers, "max_worker": server.workers},
        headers={"Authorization": tokens.bearer(server, "management")},
        timeout=10,
    )
    if not response.ok:
        raise ServerError(f"{model.name} could not be given {server.workers} worker(s): {response.text.strip()}")


def _check_golden(session: requests.Session, server: Server, model: StoredModel) -> tuple[int, int]:
    """How many golden requests got the expected answer, and how many were sent.

    One by one, two per worker or more: idle workers take turns, so each of them answers.
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
        if reason := golden_fault(pair, response.json()):
            wrong.append(reason)
    if len(wrong) > (1 - REQUIRED_AGREEMENT) * count:
        raise ServerError(
            f"{model.name} answers {len(wrong)} of {count} golden requests wrongly, the first: {wrong[0]}; "
            "if this processor computes INT8 otherwise than the one of the export, export the model on this one"
        )
    return count - len(wrong), count


def _serves_fp32(session: requests.Session, server: Server, model: StoredModel) -> bool:
    """Whether a worker fell back, as it said once it had loaded; False for archives that do not know of it."""
    said = session.get(server.metrics_url, timeout=10).text
    return bool(re.search(rf'^{FALLBACK}{{.*ModelName="{re.escape(model.name)}".*}} 1', said, re.MULTILINE))
