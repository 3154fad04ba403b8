"""Read the keys that TorchServe writes at its start (`key_file.json`), and renew them through its token API."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

import requests

from archives.errors import ServerError
from archives.serving.record import Server

Kind = Literal["inference", "management"]
MARGIN = timedelta(minutes=1)  # before its expiry, a key is renewed


def bearer(server: Server, kind: Kind = "inference") -> str:
    """Return the value of the header `Authorization` for one of the server's APIs; renew its key if it has expired.

    Raises:
        ServerError: the key file cannot be read, or the server refused to renew the key.
    """
    keys = _read(server)
    if _expires(keys, kind) - datetime.now(timezone.utc) < MARGIN:
        _renew(server, kind, keys["API"]["key"])
        keys = _read(server)
    return f"Bearer {keys[kind]['key']}"


def local_session() -> requests.Session:
    """Return a session for a server on this machine, whatever proxy the environment names."""
    session = requests.Session()
    session.trust_env = False
    return session


def _read(server: Server) -> dict[str, Any]:
    try:
        return dict(json.loads(server.key_file.read_text()))
    except (OSError, ValueError) as error:
        raise ServerError(f"cannot read the keys of the server on port {server.port}: {error}") from error


def _expires(keys: dict[str, Any], kind: Kind) -> datetime:
    """Return when a key expires. Java writes up to nine decimals of a second, and `Z`: Python 3.10 parses neither."""
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
