"""The keys that TorchServe writes at start (`key_file.json`), and their renewal through its token API."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

import requests

from archives.errors import ServerError
from archives.serving.record import Server

Kind = Literal["inference", "management"]
MARGIN = timedelta(minutes=1)


def bearer(server: Server, kind: Kind = "inference") -> str:
    """The value of the header `Authorization` for one of the server's APIs, renewed when it has expired.

    Raises:
        ServerError: the key file cannot be read, or the server refused to renew the key.
    """
    keys = _read(server)
    if _expires(keys, kind) - datetime.now(timezone.utc) < MARGIN:
        _renew(server, kind, keys["API"]["key"])
        keys = _read(server)
    return f"Bearer {keys[kind]['key']}"


def local_session() -> requests.Session:
    """A session for a server on this machine, whatever proxy the environment names."""
    session = requests.Session()
    session.trust_env = False
    return session


def _read(server: Server) -> dict[str, Any]:
    try:
        return dict(json.loads(server.key_file.read_text()))
    except (OSError, ValueError) as error:
        raise ServerError(f"cannot read the keys of the server on port {server.port}: {error}") from error


def _expires(keys: dict[str, Any], kind: Kind) -> datetime:
    """Java writes up to nine decimals of a second, and `Z`; datetime of Python 3.10 reads neither."""
    seconds = keys[kind]["expiration time"].removesuffix("Z").split(".")[0]
    return datetime.fromisoformat(seconds).replace(tzinfo=timezone.utc)


def _renew(server: Server, kind: Kind, api_key: str) -> None:
    try:
        with local_session() as session:
            response = session.get(
                f"{server.management_url}/token",
                params={"type": kind},
                headers={"Authorization": f"Bearer {api_key}"},
                timeout=10,
            )
    except requests.RequestException as error:
        raise ServerError(f"the {kind} key has expired and the server does not answer: {error}") from error
    if not response.ok:
        raise ServerError(f"the {kind} key has expired and could not be renewed: {response.text.strip()}")
