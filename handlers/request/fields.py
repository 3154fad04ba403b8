"""Checks on the fields of a request; each names the field in its error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.request.errors import RequestError
from handlers.request.payload import json_type, shortened

# Of one request.
MAX_INSTANCES = 1024
# How many labels or answers are listed.
DEFAULT_TOP_K = 3


def check_known(fields: Mapping[str, Any], known: tuple[str, ...], at: str = "") -> None:
    """Refuses a field that is not among `known`."""
    for name in fields:
        if name not in known:
            message = f"unknown field {shortened(name)!r}; known fields: {', '.join(known)}"
            raise RequestError(400, "unknown_field", message, at + shortened(name))


def check_alone(fields: Mapping[str, Any], name: str, others: tuple[str, ...]) -> None:
    """Refuses `name` beside one of `others`."""
    for other in others:
        if other in fields:
            raise RequestError(400, "conflicting_fields", f"send either {other} or {name}, not both", name)


def required_text(fields: Mapping[str, Any], name: str, at: str = "") -> str:
    """A string that has more than white space, and no half of a surrogate pair."""
    field = at + name
    if name not in fields:
        raise RequestError(400, "missing_field", f"{field} is missing; expected a string", field)
    return checked_text(fields[name], field)


def checked_text(text: Any, field: str) -> str:
    """The same of a value that is there."""
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


def optional_top_k(fields: Mapping[str, Any], default: int, at: str = "") -> int:
    """`top_k`, a whole number of 1 or more."""
    field = at + "top_k"
    value = fields.get("top_k", default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RequestError(400, "wrong_type", f"{field} is not a whole number; expected 1 or more", field)
    if value < 1:
        raise RequestError(400, "out_of_range", f"{field} is less than 1; expected 1 or more", field)
    return value


def optional_share(fields: Mapping[str, Any], name: str, default: float | None, at: str = "") -> float | None:
    """A number from 0 to 1."""
    if name not in fields:
        return default
    field, value = at + name, fields[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(400, "wrong_type", f"{field} is {json_type(value)}; expected a number from 0 to 1", field)
    if not 0 <= value <= 1:
        raise RequestError(400, "out_of_range", f"{field} is not within 0 and 1; expected a number from 0 to 1", field)
    return value


def required_instances(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`instances`, 1 to `MAX_INSTANCES` JSON objects."""
    instances = required_list(fields, "instances", "objects")
    for i, instance in enumerate(instances):
        if not isinstance(instance, dict):
            message = f"instances[{i}] is {json_type(instance)}; expected an object"
            raise RequestError(400, "wrong_type", message, f"instances[{i}]")
    return instances


def required_list(fields: Mapping[str, Any], name: str, items: str) -> list[Any]:
    """1 to `MAX_INSTANCES` values, which are `items` in the words of an error."""
    values = fields[name]
    if not isinstance(values, list):
        raise RequestError(400, "wrong_type", f"{name} is {json_type(values)}; expected an array of {items}", name)
    if not values:
        raise RequestError(400, f"empty_{name}", f"{name} is empty; expected one or more {items}", name)
    if len(values) > MAX_INSTANCES:
        message = f"{name} has {len(values)} items; at most {MAX_INSTANCES} are answered in one request"
        raise RequestError(413, f"too_many_{name}", message, name)
    return values
