"""A classification request: one text, or several as `instances`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handlers.request import Request
from handlers.request.fields import (
    DEFAULT_TOP_K,
    check_alone,
    check_known,
    optional_top_k,
    required_instances,
    required_text,
)
from handlers.request.payload import Payload

INSTANCE_FIELDS = ("text", "top_k")
FIELDS = ("text", "instances", "top_k")


@dataclass(frozen=True)
class TextInstance:
    """A text and how many labels its answer lists."""

    text: str
    top_k: int


ClassificationRequest = Request[TextInstance]


def parse_classification(payload: Payload) -> ClassificationRequest:
    """Checks a payload. A `top_k` beside `instances` holds for those that have none. Raises `RequestError`."""
    fields = {"text": payload} if isinstance(payload, str) else payload
    check_known(fields, FIELDS)
    top_k = optional_top_k(fields, DEFAULT_TOP_K)
    if "instances" not in fields:
        return ClassificationRequest([_instance(fields, top_k)], many=False)
    check_alone(fields, "instances", ("text",))
    instances = required_instances(fields)
    return ClassificationRequest(
        [_instance(instance, top_k, f"instances[{i}].") for i, instance in enumerate(instances)], many=True
    )


def _instance(fields: Mapping[str, Any], top_k: int, at: str = "") -> TextInstance:
    if at:
        check_known(fields, INSTANCE_FIELDS, at)
    return TextInstance(required_text(fields, "text", at), optional_top_k(fields, top_k, at))
