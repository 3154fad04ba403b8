"""Read and check the body of a request of any task. Every error says what to send instead.

TorchServe hands over a dict for each request: the body is under `body`, or under `data` when it came as that field of a
form. Its type follows from Content-Type: `application/json` arrives parsed (or as bytes when it does not parse),
`text/*` as str, anything else as bytes. The fields of a form arrive as keys of their own. If a JSON object repeats a
key, the last value counts. This module imports the standard library only, because clients share its limits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Payload = dict[str, Any] | str
Instance = TypeVar("Instance")

BODY_KEYS = ("body", "data")
# Maximum number of texts or questions in one request.
MAX_INSTANCES = 1024
# Number of labels or answers to list if a request does not say.
DEFAULT_TOP_K = 3
# Limit of an answer, below max_response_size of configs/serving/config.properties. If an answer is over that size,
# TorchServe ends the worker, and every request of the batch with it.
MAX_ANSWER_BYTES = 6_500_000
HOW_TO_SEND = "send a JSON object as 'Content-Type: application/json', or a bare text as 'Content-Type: text/plain'"
# TorchServe drops a form without '=', such as the JSON of `curl -d` without a Content-Type, and leaves nothing.
NO_BODY = f"the request has no body, or it came as a form: {HOW_TO_SEND}"


@dataclass(frozen=True)
class Request(Generic[Instance]):
    """A checked request: one instance, or several (`many`), whose answers are listed as `predictions`."""

    instances: list[Instance]
    many: bool


class RequestError(Exception):
    """An error that is reported to the client of one request only.

    `status` is the HTTP status, `code` is for programs, and `message` says what is wrong and what to send instead.
    """

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field

    def body(self) -> dict[str, Any]:
        """Return the response body, `{"error": {"code", "message", "field"}}`; `field` may be None."""
        return {"error": {"code": self.code, "message": self.message, "field": self.field}}


def too_many_rows(limit: int) -> RequestError:
    message = f"the request makes more than {limit} rows for the model, which are too many at once; split it"
    return RequestError(413, "too_many_rows", message)


def too_many_tokens(limit: int) -> RequestError:
    message = f"the request makes more than {limit} tokens for the model, more than it answers in time; split it"
    return RequestError(413, "too_many_tokens", message)


def answer_too_large() -> RequestError:
    message = f"the answer has more than {MAX_ANSWER_BYTES} bytes; split the request, or lower top_k"
    return RequestError(413, "answer_too_large", message)


def read_payload(row: Mapping[str, Any]) -> Payload:
    """Return the request's JSON object, or its text if the body is a bare text or a JSON string.

    Raises `RequestError`: 400 for a missing, undecodable or wrongly typed body, 415 for a form.
    """
    extra = [key for key in row if key not in BODY_KEYS]
    body = row.get("body", row.get("data"))
    if extra and body is None:
        raise RequestError(415, "unsupported_media_type", f"the body came as a form, which may alter it: {HOW_TO_SEND}")
    if extra:
        name = shortened(extra[0])
        message = f"{name!r} is a form field beside the body, which is not read; put it into the JSON object"
        raise RequestError(400, "unknown_field", message, name)
    if not BODY_KEYS & row.keys():
        raise RequestError(400, "empty_body", NO_BODY)
    if isinstance(body, bytes | bytearray | memoryview):
        body = _parse_json(bytes(body))
    if not isinstance(body, dict | str):
        raise RequestError(400, "wrong_type", f"the body is {json_type(body)}, not a JSON object: {HOW_TO_SEND}")
    return body


def _parse_json(body: bytes) -> Any:
    if not body.strip():
        raise RequestError(400, "empty_body", NO_BODY)
    try:
        return json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = f"the body is not UTF-8: byte {error.start} cannot be decoded"
        raise RequestError(400, "invalid_utf8", message) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RequestError(400, "invalid_json", f"the body is not JSON ({error.msg}, {where}): {HOW_TO_SEND}") from None
    except RecursionError:
        raise RequestError(400, "invalid_json", "the body is JSON nested too deeply") from None
    except ValueError:
        # Python refuses to parse integers with thousands of digits.
        raise RequestError(400, "invalid_json", "the body has a number with too many digits") from None


def check_known(fields: Mapping[str, Any], known: tuple[str, ...], prefix: str = "") -> None:
    """Refuse a field that is not among `known`; `prefix` is where the fields stand, such as `instances[3].`."""
    for name in fields:
        if name not in known:
            message = f"unknown field {shortened(name)!r}; known fields: {', '.join(known)}"
            raise RequestError(400, "unknown_field", message, prefix + shortened(name))


def check_alone(fields: Mapping[str, Any], name: str, others: tuple[str, ...]) -> None:
    """Raise an error if one of `others` is sent beside `name`."""
    for other in others:
        if other in fields:
            raise RequestError(400, "conflicting_fields", f"send either {other} or {name}, not both", name)


def required_text(fields: Mapping[str, Any], name: str, prefix: str = "") -> str:
    """Return a string field. It must hold more than white space, and no half of a surrogate pair."""
    field = prefix + name
    if name not in fields:
        raise RequestError(400, "missing_field", f"{field} is missing; expected a string", field)
    return checked_text(fields[name], field)


def checked_text(text: Any, field: str) -> str:
    """Return the value if it is a text that `required_text` accepts."""
    if not isinstance(text, str):
        raise RequestError(400, "wrong_type", f"{field} is {json_type(text)}; expected a string", field)
    if not text or text.isspace():
        raise RequestError(400, "empty_text", f"{field} is empty; expected some text", field)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{field} has half of a surrogate pair at character {error.start}; expected valid Unicode"
        raise RequestError(400, "invalid_text", message, field) from None
    return text


def optional_top_k(fields: Mapping[str, Any], default: int, prefix: str = "") -> int:
    """Return `top_k`, a whole number of 1 or more, or the default."""
    field = prefix + "top_k"
    value = fields.get("top_k", default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RequestError(400, "wrong_type", f"{field} is not a whole number; expected 1 or more", field)
    if value < 1:
        raise RequestError(400, "out_of_range", f"{field} is less than 1; expected 1 or more", field)
    return value


def optional_share(fields: Mapping[str, Any], name: str, default: float | None, prefix: str = "") -> float | None:
    """Return a number from 0 to 1, or the default."""
    if name not in fields:
        return default
    field, value = prefix + name, fields[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(400, "wrong_type", f"{field} is {json_type(value)}; expected a number from 0 to 1", field)
    if not 0 <= value <= 1:
        raise RequestError(400, "out_of_range", f"{field} is not within 0 and 1; expected a number from 0 to 1", field)
    return value


def required_instances(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return `instances`, 1 to `MAX_INSTANCES` JSON objects."""
    instances = required_list(fields, "instances", "objects")
    for i, instance in enumerate(instances):
        if not isinstance(instance, dict):
            message = f"instances[{i}] is {json_type(instance)}; expected an object"
            raise RequestError(400, "wrong_type", message, f"instances[{i}]")
    return instances


def required_list(fields: Mapping[str, Any], name: str, items: str) -> list[Any]:
    """Return an array of 1 to `MAX_INSTANCES` values, which error messages call `items`."""
    values = fields[name]
    if not isinstance(values, list):
        raise RequestError(400, "wrong_type", f"{name} is {json_type(values)}; expected an array of {items}", name)
    if not values:
        raise RequestError(400, f"empty_{name}", f"{name} is empty; expected one or more {items}", name)
    if len(values) > MAX_INSTANCES:
        message = f"{name} has {len(values)} items; at most {MAX_INSTANCES} are answered in one request"
        raise RequestError(413, f"too_many_{name}", message, name)
    return values


def json_type(value: object) -> str:
    """Return the JSON type of a parsed value, with its article."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def shortened(name: str) -> str:
    """Return a client's own field name, short enough to be sent back."""
    return name if len(name) <= 40 else name[:40] + "…"
