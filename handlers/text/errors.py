"""The error a client can mend, answered to that client alone."""

from __future__ import annotations

from typing import Any


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
