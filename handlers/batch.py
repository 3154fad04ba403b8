"""Answers a batch of TorchServe request rows without one row harming another."""

from __future__ import annotations

import json
import logging
import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any

from handlers.metrics import BatchMetrics
from handlers.pipelines.base import EncodedBatch
from handlers.request.errors import MAX_ANSWER_BYTES, RequestError, answer_too_large, too_many_rows, too_many_tokens
from handlers.request.payload import read_payload

logger = logging.getLogger(__name__)
# Refuses NaN, which is no JSON; json.dumps would make a new encoder for each call.
to_json = json.JSONEncoder(allow_nan=False).encode
INFERENCE_FAILED = RequestError(
    500, "inference_failed", "the model failed on this request; the server's log has the reason"
)
BUSY = RequestError(429, "busy", "the server is busy; send the request again, or one with fewer rows for the model")


class BatchService:
    """Runs a pipeline's three steps; the context is the one that TorchServe loads the model with."""

    def __init__(self, pipeline: Any, context: Any, max_batch_rows: int, max_batch_tokens: float = math.inf) -> None:
        self.pipeline = pipeline
        self.max_batch_rows = max_batch_rows
        self.max_batch_tokens = max_batch_tokens
        self.batch_size = context.system_properties["batch_size"]
        self.metrics = BatchMetrics(context.model_name) if context.metrics else None

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[str]:
        """One JSON text a request row, in order; a row that is wrong gets its own status and error."""
        start = perf_counter()
        parsed = self._few_rows([self._parsed(row) for row in rows], self.pipeline.least_rows)
        answers, values = self._answered(good(parsed), start)
        told = merged(parsed, answers)
        if self.metrics:
            values["batch_fill"] = len(rows) / self.batch_size
            values["rejected_requests_total"] = sum(isinstance(one, RequestError) and one.status < 500 for one in told)
            values["handler_seconds"] = perf_counter() - start
            self.metrics.emit(values)
        return [_told(i, one, context) for i, one in enumerate(told)]

    def _parsed(self, row: Mapping[str, Any]) -> Any:
        try:
            return self.pipeline.parse(read_payload(row))
        except RequestError as error:
            return error

    def _few_rows(self, requests: list[Any], rows_of: Callable[[Any], int]) -> list[Any]:
        return admitted(requests, rows_of, self.max_batch_rows, too_many_rows)

    def _encoded(self, requests: list[Any]) -> list[Any]:
        """An encoded request or an error for each.

        The smallest come first, and none once two batches are tokenised: refusing must not take long either.
        """
        encoded, rows = list(requests), 0
        for i in sorted(range(len(requests)), key=lambda i: self.pipeline.least_rows(requests[i])):
            if rows >= 2 * self.max_batch_rows:
                encoded[i] = BUSY
                continue
            try:
                encoded[i] = self.pipeline.encode_request(requests[i], self.max_batch_rows)
                rows += len(encoded[i].rows)
            except RequestError as error:
                encoded[i] = error
                rows += self.max_batch_rows
        few = self._few_rows(encoded, lambda request: len(request.rows))
        return admitted(few, lambda request: request.tokens, self.max_batch_tokens, too_many_tokens)

    def _answered(self, requests: list[Any], start: float) -> tuple[list[str | RequestError], dict[str, float]]:
        """JSON answers and metric values. After a failure each request is tried alone, so that no other is lost."""
        if not requests:
            return [], {}
        try:
            return self._three_steps(requests, start)
        except Exception as error:  # noqa: BLE001 - logged, but without its message, which may quote a text
            log_failure(error)
            self.pipeline.model.require_alive()
            if len(requests) == 1:
                return [INFERENCE_FAILED], {}
        return [self._answered([request], start)[0][0] for request in requests], {}

    def _three_steps(self, requests: list[Any], start: float) -> tuple[list[str | RequestError], dict[str, float]]:
        encoded = self._encoded(requests)
        batch = EncodedBatch(good(encoded))
        if not batch.requests:
            return encoded, {}
        encoded_at = perf_counter()
        outputs = self.pipeline.run(batch)
        ran_at = perf_counter()
        answers = merged(encoded, [_sendable(answer) for answer in self.pipeline.decode(outputs)])
        return answers, {
            "encode_seconds": encoded_at - start,
            "run_seconds": ran_at - encoded_at,
            "decode_seconds": perf_counter() - ran_at,
            "padding_ratio": 1 - batch.tokens / outputs.padded_tokens,
            "batch_kilotokens": outputs.padded_tokens / 1000,
            "rows_total": len(batch.rows),
            "tokens_total": batch.tokens,
            "padded_tokens_total": outputs.padded_tokens,
        }


def admitted(
    requests: list[Any], size_of: Callable[[Any], int], most: float, too_much: Callable[[int], RequestError]
) -> list[Any]:
    """Puts an error in place of the largest requests where a batch is more than a worker answers in time."""
    sizes = {i: size_of(request) for i, request in enumerate(requests) if not isinstance(request, RequestError)}
    result, total = list(requests), 0
    for i in sorted(sizes, key=sizes.__getitem__):
        if sizes[i] > most:
            result[i] = too_much(int(most))
        elif total + sizes[i] > most:
            result[i] = BUSY
        else:
            total += sizes[i]
    return result


def good(items: list[Any]) -> list[Any]:
    """Those that are no error."""
    return [item for item in items if not isinstance(item, RequestError)]


def merged(items: list[Any], answers: Iterable[Any]) -> list[Any]:
    """The items with an answer in place of each that is no error."""
    remaining = iter(answers)
    return [item if isinstance(item, RequestError) else next(remaining) for item in items]


def log_failure(error: Exception) -> None:
    """Logs the error's type and where it was raised; its message only if it is ONNX Runtime's, which quotes no text."""
    message = str(error) if type(error).__module__.startswith("onnxruntime") else "message withheld"
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("inference failed: %s (%s)\n%s", type(error).__name__, message, where)


def _sendable(answer: dict[str, Any] | RequestError) -> str | RequestError:
    if isinstance(answer, RequestError):
        return answer
    text = to_json(answer)
    return text if len(text) <= MAX_ANSWER_BYTES else answer_too_large()


def _told(i: int, answer: str | RequestError, context: Any) -> str:
    context.set_response_content_type(i, "application/json")
    if isinstance(answer, RequestError):
        context.set_response_status(answer.status, HTTPStatus(answer.status).phrase, i)
        return to_json(answer.body())
    return answer
