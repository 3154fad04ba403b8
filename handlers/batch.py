"""Answer a batch of TorchServe request rows, and keep a bad row from harming the others."""

from __future__ import annotations

import json
import logging
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any

from handlers.metrics import BatchMetrics
from handlers.pipelines.base import EncodedRequest, Pipeline
from handlers.request import (
    MAX_ANSWER_BYTES,
    Request,
    RequestError,
    answer_too_large,
    read_payload,
    too_many_rows,
    too_many_tokens,
)

logger = logging.getLogger(__name__)
# Encoder that refuses NaN, which is not JSON. It is made once: json.dumps would make a new one for each call.
to_json = json.JSONEncoder(allow_nan=False).encode
INFERENCE_FAILED = RequestError(
    500, "inference_failed", "the model failed on this request; the server's log has the reason"
)
BUSY = RequestError(429, "busy", "the server is busy; send the request again, or one with fewer rows for the model")


class Exchange:
    """One request of a batch, with the results of the steps that have run so far.

    Each step sets the next attribute, or `error`. Steps process only the live exchanges, those without an error.
    """

    request: Request[Any]
    encoded: EncodedRequest
    answer: str  # JSON
    error: RequestError | None = None


def live(exchanges: Sequence[Exchange]) -> list[Exchange]:
    return [exchange for exchange in exchanges if exchange.error is None]


class BatchService:
    """Run a pipeline's steps on batches. `context` is the one that TorchServe passes when it loads the model.

    A batch holds at most `max_batch_rows` rows and `max_batch_tokens` tokens, padding not counted.
    """

    def __init__(
        self, pipeline: Pipeline, context: Any, max_batch_rows: int, max_batch_tokens: float = math.inf
    ) -> None:
        self.pipeline = pipeline
        self.max_batch_rows = max_batch_rows
        self.max_batch_tokens = max_batch_tokens
        self.batch_size = context.system_properties["batch_size"]
        self.metrics = BatchMetrics(context.model_name) if context.metrics else None

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[str]:
        """Return one JSON text for each request row, in order; a bad row gets an error with its own status."""
        start = perf_counter()
        exchanges = [self._parse(row) for row in rows]
        self._admit_rows(exchanges, lambda exchange: self.pipeline.estimate_rows(exchange.request))
        metrics = self._answer(live(exchanges), start)
        if self.metrics:
            errors = [exchange.error for exchange in exchanges if exchange.error]
            metrics["batch_fill"] = len(rows) / self.batch_size
            metrics["rejected_requests_total"] = sum(error.status < 500 for error in errors)
            metrics["handler_seconds"] = perf_counter() - start
            self.metrics.emit(metrics)
        return [_respond(i, exchange, context) for i, exchange in enumerate(exchanges)]

    def _parse(self, row: Mapping[str, Any]) -> Exchange:
        exchange = Exchange()
        try:
            exchange.request = self.pipeline.parse(read_payload(row))
        except RequestError as error:
            exchange.error = error
        return exchange

    def _answer(self, exchanges: Sequence[Exchange], start: float) -> dict[str, float]:
        """Set the answer or the error of each exchange, and return the batch's metrics.

        When the batch fails, each request is tried alone, so that only the one at fault is lost.
        """
        if not exchanges:
            return {}
        try:
            return self._encode_run_decode(exchanges, start)
        except Exception as error:  # noqa: BLE001 - logged, but without its message, which may quote a text
            log_failure(error)
            self.pipeline.model.require_alive()
        for exchange in exchanges:
            if len(exchanges) == 1:
                exchange.error = INFERENCE_FAILED
            else:
                exchange.error = None  # a request refused in this batch may fit when it is alone
                self._answer([exchange], start)
        return {}

    def _encode_run_decode(self, exchanges: Sequence[Exchange], start: float) -> dict[str, float]:
        self._encode(exchanges)
        exchanges = live(exchanges)
        if not exchanges:
            return {}
        requests = [exchange.encoded for exchange in exchanges]
        rows = [row for request in requests for row in request.rows]
        encoded_at = perf_counter()
        logits, padded_tokens = self.pipeline.run(rows)
        ran_at = perf_counter()
        for exchange, answer in zip(exchanges, self.pipeline.decode(requests, logits), strict=True):
            if isinstance(answer, RequestError):
                exchange.error = answer
            elif len(text := to_json(answer)) > MAX_ANSWER_BYTES:
                exchange.error = answer_too_large()
            else:
                exchange.answer = text
        tokens = sum(request.tokens for request in requests)
        return {
            "encode_seconds": encoded_at - start,
            "run_seconds": ran_at - encoded_at,
            "decode_seconds": perf_counter() - ran_at,
            "padding_ratio": 1 - tokens / padded_tokens,
            "batch_kilotokens": padded_tokens / 1000,
            "rows_total": len(rows),
            "tokens_total": tokens,
            "padded_tokens_total": padded_tokens,
        }

    def _encode(self, exchanges: Sequence[Exchange]) -> None:
        """Encode requests from the smallest up, and refuse those left over once there are rows for two batches.

        Those are not tokenized any more, so that refusing does not take long.
        """
        rows = 0
        for exchange in sorted(exchanges, key=lambda exchange: self.pipeline.estimate_rows(exchange.request)):
            if rows >= 2 * self.max_batch_rows:
                exchange.error = BUSY
                continue
            try:
                exchange.encoded = self.pipeline.encode(exchange.request, self.max_batch_rows)
                rows += len(exchange.encoded.rows)
            except RequestError as error:
                exchange.error = error
                rows += self.max_batch_rows
        self._admit_rows(exchanges, lambda exchange: len(exchange.encoded.rows))
        admit(exchanges, lambda exchange: exchange.encoded.tokens, self.max_batch_tokens, too_many_tokens)

    def _admit_rows(self, exchanges: Sequence[Exchange], rows_of: Callable[[Exchange], int]) -> None:
        admit(exchanges, rows_of, self.max_batch_rows, too_many_rows)


def admit(
    exchanges: Sequence[Exchange],
    size_of: Callable[[Exchange], int],
    limit: float,
    too_large: Callable[[int], RequestError],
) -> None:
    """Refuse the largest live requests of a batch, so that the others are within `limit` and answered in time."""
    total = 0
    for exchange in sorted(live(exchanges), key=size_of):
        size = size_of(exchange)
        if size > limit:
            exchange.error = too_large(int(limit))
        elif total + size > limit:
            exchange.error = BUSY
        else:
            total += size


def log_failure(error: Exception) -> None:
    """Log the error's type and stack, and its message only if ONNX Runtime raised it, which quotes no user text."""
    message = str(error) if type(error).__module__.startswith("onnxruntime") else "message withheld"
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("inference failed: %s (%s)\n%s", type(error).__name__, message, where)


def _respond(i: int, exchange: Exchange, context: Any) -> str:
    context.set_response_content_type(i, "application/json")
    if exchange.error is None:
        return exchange.answer
    context.set_response_status(exchange.error.status, HTTPStatus(exchange.error.status).phrase, i)
    return to_json(exchange.error.body())
