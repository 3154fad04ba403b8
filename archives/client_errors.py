"""Define what a client raises, and choose it for an unsuccessful response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests


class ClientError(Exception):
    """The server did not give an answer; `status` is its HTTP status, None when there was none."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class BadRequest(ClientError):
    """The request is wrong: `code` names the error, `field` where it is, for instance `instances[3].text`."""

    def __init__(self, message: str, status: int, code: str, field: str | None) -> None:
        super().__init__(message, status)
        self.code = code
        self.field = field


class Unauthorized(ClientError):
    """The token is missing, wrong or expired."""


class ModelNotFound(ClientError):
    """The server does not serve this model, or not this version of it."""


class Unavailable(ClientError):
    """The server cannot be reached, is overloaded, or failed: still so after all retries."""


def error_of(response: requests.Response) -> ClientError:
    """Return the exception that an unsuccessful response stands for.

    The handlers answer `{"error": {"code", "message", "field"}}`, TorchServe itself `{"code", "type", "message"}`.
    """
    status = response.status_code
    body = _body(response)
    of_handler = body.get("error")
    if isinstance(of_handler, Mapping) and 400 <= status < 500 and status != 429:
        return BadRequest(str(of_handler.get("message")), status, str(of_handler.get("code")), of_handler.get("field"))
    source = of_handler if isinstance(of_handler, Mapping) else body
    message = str(source.get("message") or response.reason or f"status {status}")
    kind = str(body.get("type", ""))
    if status in {401, 403} or kind == "InvalidKeyException":
        return Unauthorized(message, status)
    if status == 404:
        return ModelNotFound(message, status)
    if status < 500 and status != 429:
        code = "too_large" if status == 413 else kind or "refused"
        return BadRequest(message, status, code, None)
    return Unavailable(message, status)


def _body(response: requests.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}
