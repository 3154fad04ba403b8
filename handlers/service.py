"""Answers a batch of TorchServe request rows without one row harming another."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any

from handlers.metrics import BatchMetrics
from handlers.text.errors import RequestError
from handlers.text.payload import read_payload

logger = logging.getLogger(__name__)
# Refuses NaN, which is no JSON; json.dumps would make a new encoder for each call.
to_json = json.JSONEncoder(allow_nan=False).encode
# Below max_response_size of configs/serving/config.properties: at a longer answer TorchServe ends the worker, and every
# request of the batch with it.
MAX_ANSWER_BYTES = 6_500_000
INFERENCE_FAILED = RequestError(
    500, "inference_failed", "the model failed on this request; the server's log has the reason"
)


class BatchService:
    """Runs a pipeline's three steps; the context is the one that TorchServe loads the model with."""

    def __init__(self, pipeline: Any, context: Any, max_batch_rows: int) -> None:
        self.pipeline = pipeline
        self.max_batch_rows = max_batch_rows
        self.batch_size = context.system_properties["batch_size"]
        self.metrics = BatchMetrics(context.metrics, context.model_name) if context.metrics else None

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[str]:
        """One JSON text a request row, in order; a row that is wrong gets its own status and error."""
        start = perf_counter()
        parsed = self._admitted([self._parsed(row) for row in rows])
        good = [request for request in parsed if not isinstance(request, RequestError)]
        answers, values = self._answered(good, start)
        results = iter(answers)
        told = [request if isinstance(request, RequestError) else next(results) for request in parsed]
        if self.metrics:
            values["batch_fill"] = len(rows) / self.batch_size
            values["rejected_rows_total"] = sum(isinstance(one, RequestError) and one.status < 500 for one in told)
            values["handler_seconds"] = perf_counter() - start
            self.metrics.emit(values)
        return [_told(i, one, context) for i, one in enumerate(told)]

    def _parsed(self, row: Mapping[str, Any]) -> Any:
        try:
            return self.pipeline.parse(read_payload(row))
        except RequestError as error:
            return error

    def _admitted(self, parsed: list[Any]) -> list[Any]:
        """Puts an error in place of the largest requests where a batch has more rows than a worker answers in time.

        The small ones come first, and at least one request is always admitted.
        """
        sizes = {i: len(request.instances) for i, request in enumerate(parsed) if not isinstance(request, RequestError)}
        rows = 0
        for i in sorted(sizes, key=sizes.__getitem__):
            if rows and rows + sizes[i] > self.max_batch_rows:
                message = f"the server is busy; send these {sizes[i]} instances again, or fewer of them"
                parsed[i] = RequestError(429, "too_many_rows", message, "instances")
            rows += sizes[i]
        return parsed

    def _answered(self, requests: list[Any], start: float) -> tuple[list[str | RequestError], dict[str, float]]:
        """JSON answers and metric values. After a failure each request is tried alone, so that no other is lost."""
        if not requests:
            return [], {}
        try:
            return self._three_steps(requests, start)
        except Exception as error:  # noqa: BLE001 - logged, but without its message, which may quote a text
            log_failure(error)
            if len(requests) == 1:
                return [INFERENCE_FAILED], {}
        return [self._answered([request], start)[0][0] for request in requests], {}

    def _three_steps(self, requests: list[Any], start: float) -> tuple[list[str | RequestError], dict[str, float]]:
        batch = self.pipeline.encode(requests)
        encoded = perf_counter()
        outputs = self.pipeline.run(batch)
        ran = perf_counter()
        answers: list[str | RequestError] = [_sendable(to_json(answer)) for answer in self.pipeline.decode(outputs)]
        return answers, {
            "encode_seconds": encoded - start,
            "run_seconds": ran - encoded,
            "decode_seconds": perf_counter() - ran,
            "padding_ratio": 1 - batch.tokens / outputs.padded_tokens,
            "batch_kilotokens": outputs.padded_tokens / 1000,
            "rows_total": len(batch.rows),
            "tokens_total": batch.tokens,
            "padded_tokens_total": outputs.padded_tokens,
        }


def log_failure(error: Exception) -> None:
    """Logs the error's type and where it was raised; its message only if it is ONNX Runtime's, which quotes no text."""
    message = str(error) if type(error).__module__.startswith("onnxruntime") else "message withheld"
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("inference failed: %s (%s)\n%s", type(error).__name__, message, where)


def _sendable(answer: str) -> str | RequestError:
    if len(answer) <= MAX_ANSWER_BYTES:
        return answer
    message = f"the answer has {len(answer)} bytes, more than {MAX_ANSWER_BYTES}; send fewer instances or a lower top_k"
    return RequestError(413, "answer_too_large", message, "instances")


def _told(i: int, answer: str | RequestError, context: Any) -> str:
    context.set_response_content_type(i, "application/json")
    if isinstance(answer, RequestError):
        context.set_response_status(answer.status, HTTPStatus(answer.status).phrase, i)
        return to_json(answer.body())
    return answer
