"""One TorchServe request row to its JSON object or plain text.

TorchServe hands over a dict: the body is under `body`, or under `data` when it came as that field of a form. Its type
follows from Content-Type: `application/json` arrives parsed (or as bytes when it does not parse), `text/*` as str, all
else as bytes. The fields of a form arrive as keys of their own. Of duplicate keys in a JSON object the last one counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from handlers.request.errors import RequestError

Payload = dict[str, Any] | str
BODY_KEYS = ("body", "data")
HOW_TO_SEND = "send a JSON object as 'Content-Type: application/json', or a bare text as 'Content-Type: text/plain'"
# TorchServe drops a form without '=', such as the JSON of `curl -d` without a Content-Type, and leaves nothing.
NO_BODY = f"the request has no body, or it came as a form: {HOW_TO_SEND}"


def read_payload(row: Mapping[str, Any]) -> Payload:
    """The request's JSON object, or its text where the body is a bare text or a JSON string.

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
        body = _parse(bytes(body))
    if not isinstance(body, dict | str):
        raise RequestError(400, "wrong_type", f"the body is {json_type(body)}, not a JSON object: {HOW_TO_SEND}")
    return body


def json_type(value: object) -> str:
    """What JSON calls the type of a parsed value, with its article."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def shortened(name: str) -> str:
    """A client's own field name, short enough to be sent back."""
    return name if len(name) <= 40 else name[:40] + "…"


def _parse(body: bytes) -> Any:
    if not body.strip():
        raise RequestError(400, "empty_body", NO_BODY)
    try:
        return json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RequestError(
            400, "invalid_utf8", f"the body is not UTF-8: byte {error.start} cannot be decoded"
        ) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RequestError(400, "invalid_json", f"the body is not JSON ({error.msg}, {where}): {HOW_TO_SEND}") from None
    except RecursionError:
        raise RequestError(400, "invalid_json", "the body is JSON nested too deeply") from None
    except ValueError:
        # Python refuses to read integers of thousands of digits.
        raise RequestError(400, "invalid_json", "the body has a number with too many digits") from None
