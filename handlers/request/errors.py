"""The error a client can mend, answered to that client alone."""

from __future__ import annotations

from typing import Any

# Below max_response_size of configs/serving/config.properties: at a longer answer TorchServe ends the worker, and every
# request of the batch with it.
MAX_ANSWER_BYTES = 6_500_000


class RequestError(Exception):
    """A wrong request. `status` is HTTP's, `code` is for programs, `message` says what is wrong and what to send."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field

    def body(self) -> dict[str, Any]:
        """The JSON answer: `{"error": {"code", "message", "field"}}`; `field` is null where no field is at fault."""
        return {"error": {"code": self.code, "message": self.message, "field": self.field}}


def too_many_rows(most: int) -> RequestError:
    message = f"the request makes more than {most} rows for the model, which are too many at once; split it"
    return RequestError(413, "too_many_rows", message)


def too_many_tokens(most: int) -> RequestError:
    message = f"the request makes more than {most} tokens for the model, more than it answers in time; split it"
    return RequestError(413, "too_many_tokens", message)


def answer_too_large() -> RequestError:
    message = f"the answer has more than {MAX_ANSWER_BYTES} bytes; split the request, or lower top_k"
    return RequestError(413, "answer_too_large", message)
