"""A request for answers: a question on a context, several `questions` on one context, or several `instances`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handlers.request import Request
from handlers.request.errors import RequestError
from handlers.request.fields import (
    DEFAULT_TOP_K,
    check_alone,
    check_known,
    checked_text,
    optional_share,
    optional_top_k,
    required_instances,
    required_list,
    required_text,
)
from handlers.request.payload import Payload

INSTANCE_FIELDS = ("question", "context", "top_k", "no_answer_threshold")
FIELDS = ("question", "context", "questions", "instances", "top_k", "no_answer_threshold")
HOW_TO_ASK = 'send a JSON object such as {"question": "…", "context": "…"} as \'Content-Type: application/json\''


@dataclass(frozen=True)
class Options:
    """`top_k`: how many answers are listed; above a no-answer score of `no_answer_threshold`, the answer is empty."""

    top_k: int = DEFAULT_TOP_K
    no_answer_threshold: float | None = None


@dataclass(frozen=True)
class QuestionInstance:
    """A question and the context that its answer is looked for in."""

    question: str
    context: str
    options: Options


QuestionRequest = Request[QuestionInstance]


def parse_question(payload: Payload) -> QuestionRequest:
    """Checks a payload. Options beside `instances` hold for those that have none. Raises `RequestError`."""
    if isinstance(payload, str):
        raise RequestError(400, "wrong_type", f"the body is a bare text, without a question on it: {HOW_TO_ASK}")
    check_known(payload, FIELDS)
    options = _options(payload, Options())
    if "instances" in payload:
        check_alone(payload, "instances", ("question", "questions", "context"))
        instances = enumerate(required_instances(payload))
        return QuestionRequest([_instance(instance, options, f"instances[{i}].") for i, instance in instances], True)
    if "questions" in payload:
        check_alone(payload, "questions", ("question",))
        context = required_text(payload, "context")
        questions = enumerate(required_list(payload, "questions", "strings"))
        return QuestionRequest(
            [QuestionInstance(checked_text(one, f"questions[{i}]"), context, options) for i, one in questions], True
        )
    return QuestionRequest([_instance(payload, options)], many=False)


def _instance(fields: Mapping[str, Any], options: Options, at: str = "") -> QuestionInstance:
    if at:
        check_known(fields, INSTANCE_FIELDS, at)
        options = _options(fields, options, at)
    return QuestionInstance(required_text(fields, "question", at), required_text(fields, "context", at), options)


def _options(fields: Mapping[str, Any], default: Options, at: str = "") -> Options:
    return Options(
        optional_top_k(fields, default.top_k, at),
        optional_share(fields, "no_answer_threshold", default.no_answer_threshold, at),
    )
