"""Call TorchServe's management API: describe a version of a model, and scale its workers.

The call that renews a key is in `tokens`, because all calls here need that key first.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import requests

from archives.errors import ServerError
from archives.serving import tokens
from archives.serving.record import Server

# Seconds for the description of a model, and as many more for each worker on a GPU: TorchServe asks nvidia-smi about
# one after the other.
DESCRIBE_SECONDS = 5


def describe(session: requests.Session, server: Server, model: str, version: str) -> dict[str, Any] | None:
    """Return TorchServe's description of a version of a model; None where it does not know this version.

    Raises:
        requests.RequestException, ServerError: it does not answer, or not yet.
    """
    response = session.get(
        _url(server, model, version),
        headers=_headers(server),
        timeout=DESCRIBE_SECONDS * (1 + (server.workers if server.gpus else 0)),
    )
    if response.status_code == HTTPStatus.NOT_FOUND:
        return None
    response.raise_for_status()
    return dict(response.json()[0])


def scale(session: requests.Session, server: Server, model: str, version: str) -> None:
    """Ask for the server's number of workers.

    Raises:
        requests.RequestException, ServerError: it does not answer, or refuses.
    """
    response = session.put(
        _url(server, model, version),
        params={"min_worker": server.workers, "max_worker": server.workers},
        headers=_headers(server),
        timeout=10,
    )
    if not response.ok:
        raise ServerError(f"{model} could not be given {server.workers} worker(s): {response.text.strip()}")


def _url(server: Server, model: str, version: str) -> str:
    return f"{server.management_url}/models/{model}/{version}"


def _headers(server: Server) -> dict[str, str]:
    return {"Authorization": tokens.bearer(server, "management")}
