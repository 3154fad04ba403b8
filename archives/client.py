"""Use a served model as a Python object, with retries. Errors are those of `client_errors`.

    from archives.client import Client

    with Client(model="intent") as intent:
        intent.classify("translate this into French")  # -> "translation"
    with Client(model="qa") as qa:
        qa.answer("Who wrote it?", "The letter was written by Ada.")  # -> "Ada"

It needs only `requests`. Without `url` and `token`, it finds the server on this machine and its key.
"""

from __future__ import annotations

import json
import random
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

from archives.client_errors import BadRequest, ClientError, Unauthorized, Unavailable, error_of
from archives.errors import ServerError
from archives.serving import record, tokens
from handlers.request import MAX_INSTANCES

Request = str | Mapping[str, Any]

CONNECTIONS = 4  # HTTP requests of a batch sent at once, to occupy several workers
MAX_BYTES = 50_000  # size of each; of long texts, one worker answers all of them in a few seconds
# Maximum number of questions in each. MAX_BYTES make about as many windows, and the windows of all connections fit into
# one batch of a worker.
MAX_QUESTIONS = 32
BATCH_TIMEOUT = 60.0  # seconds; the parts of a batch wait for one another, and for other clients
FIRST_WAIT = 0.1  # seconds before the first retry; doubled at each further one
BUSY_WAIT = 1.0  # seconds added after a 429, doubled too: the worker is busy with a whole batch
MAX_JITTER = 0.1  # seconds; keeps many clients from coming back at the same moment
INSTANCE = re.compile(r"\binstances\[(\d+)\]")


class Client:
    """A client of one served model.

    Args:
        url: URL of the inference API, e.g. `http://127.0.0.1:8080`; None for the server running on this machine.
        token: the inference key; None for the key of the server running on this machine.
        model: name of the model; `version` picks one of several served versions.
        timeout: seconds to wait for a connection, and for an answer; at least `BATCH_TIMEOUT` in `predict_batch`.
        retries: number of retries after a refused or broken connection, a 429 or a 503; the waits double. Predictions
            change nothing on the server, so sending one twice does no harm. A request that timed out is not sent again,
            because the server is still working on it.
        servers: folder with the records of the servers on this machine.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        model: str,
        version: str | None = None,
        timeout: float = 10.0,
        retries: int = 3,
        servers: Path = record.SERVERS,
    ) -> None:
        server = None if url and token else _local_server(url, servers)
        base, self._authorization = _access(server, url, token)
        path = "/".join(quote(part, safe="") for part in (model, version) if part)
        self._endpoint = f"{base.rstrip('/')}/predictions/{path}"
        self._timeout = timeout
        self._session = tokens.local_session() if server else requests.Session()
        self._session.auth = self._authorized  # credentials in ~/.netrc would override a header
        adapter = HTTPAdapter(max_retries=retry_policy(retries), pool_maxsize=32)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def classify(self, text: str) -> str:
        """Return the label of a text."""
        return str(self.predict(text)["label"])

    def answer(self, question: str, context: str) -> str:
        """Return the part of the context that answers the question."""
        return str(self.predict({"question": question, "context": context})["answer"])

    def predict(self, request: Request) -> dict[str, Any]:
        """Return the model's answer to a text, or to a whole request such as `{"question": ..., "context": ...}`.

        Raises:
            BadRequest, Unauthorized, ModelNotFound, Unavailable.
        """
        return dict(self._post(_request(request)))

    def predict_batch(self, requests: Iterable[Request]) -> list[dict[str, Any]]:
        """Return the answers in the order of the requests, which go out in as few HTTP requests as the limits allow.

        A request is a text, or the fields of one instance, such as `{"question": ..., "context": ...}`. No more than
        eight HTTP requests are prepared ahead of the answers, so that `requests` may be long.

        Raises:
            BadRequest, Unauthorized, ModelNotFound, Unavailable: the error of the first request without an answer.
        """
        answers: list[dict[str, Any]] = []
        pending: deque[Future[list[dict[str, Any]]]] = deque()
        offset = 0
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            try:
                for chunk in _chunks(map(_request, requests)):
                    pending.append(pool.submit(self._post_instances, chunk, offset))
                    offset += len(chunk)
                    if len(pending) == 2 * CONNECTIONS:
                        answers += pending.popleft().result()
                while pending:
                    answers += pending.popleft().result()
            finally:  # after an error, cancel the requests that have not started
                for future in pending:
                    future.cancel()
        return answers

    def health(self) -> bool:
        """Return whether a worker of this model answers an empty request, which costs it no inference."""
        try:
            self._post({})
        except BadRequest:
            return True
        except ClientError:
            return False
        return True

    def _post_instances(self, instances: list[dict[str, Any]], offset: int) -> list[dict[str, Any]]:
        try:
            timeout = max(self._timeout, BATCH_TIMEOUT)
            return list(self._post({"instances": instances}, timeout)["predictions"])
        except BadRequest as error:
            if error.status == 413 and len(instances) > 1:
                # The instances are too much for the model at once, or their answers for the server.
                half = len(instances) // 2
                first = self._post_instances(instances[:half], offset)
                return first + self._post_instances(instances[half:], offset + half)
            raise _counted_from(error, offset) from None

    def _authorized(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._authorization()
        return request

    def _post(self, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        try:
            response = self._session.post(self._endpoint, json=body, timeout=timeout or self._timeout)
        except ServerError as error:
            raise Unauthorized(str(error)) from error
        except requests.RequestException as error:
            raise Unavailable(f"{self._endpoint} does not answer: {error}") from error
        if not response.ok:
            raise error_of(response)
        try:
            return response.json()
        except ValueError as error:
            raise Unavailable(f"{self._endpoint} answered with no JSON", response.status_code) from error


def retry_policy(retries: int) -> Retry:
    """Return the policy for retries after a refused or broken connection, a 429 or a 503."""
    return _RetryUnlessSlow(total=retries, status_forcelist=[429, 503], allowed_methods=None, raise_on_status=False)


class _RetryUnlessSlow(Retry):
    """A policy that does not repeat a request after its answer timed out, and that waits longer after a 429."""

    def increment(self, *args: Any, **kwargs: Any) -> Any:
        if isinstance(error := kwargs.get("error"), ReadTimeoutError):
            raise error
        return super().increment(*args, **kwargs)

    def get_backoff_time(self) -> float:
        """Return seconds. urllib3's own wait is 0 before the first retry, so all clients would come back at once."""
        wait = FIRST_WAIT + (BUSY_WAIT if self.history[-1].status == 429 else 0)
        return min(self.backoff_max, wait * 2.0 ** (len(self.history) - 1) + random.uniform(0, MAX_JITTER))


def _access(server: record.Server | None, url: str | None, token: str | None) -> tuple[str, Callable[[], str]]:
    """Return the URL and a function for the Authorization header; what is not given is the local server's."""
    header = f"Bearer {token.removeprefix('Bearer ')}" if token else None
    if server is None:
        return url or "", lambda: header or ""
    return url or server.url, lambda: header or tokens.bearer(server)


def _local_server(url: str | None, servers: Path) -> record.Server:
    """Return the server with this URL that was started on this machine; without a URL, the running one."""
    if url is None:
        try:
            return record.find(servers=servers)
        except ServerError as error:
            raise Unavailable(str(error)) from error
    server = record.find_by_url(url, servers)
    if server is None:
        raise Unauthorized(f"{url} was not started on this machine: give its token too")
    return server


def _request(request: Request) -> dict[str, Any]:
    return {"text": request} if isinstance(request, str) else dict(request)


def _chunks(instances: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield lists of instances within the limits of one request; one over the size limit gets its own list."""
    chunk: list[dict[str, Any]] = []
    size = 0
    for instance in instances:
        length = len(json.dumps(instance)) + 2
        max_instances = MAX_QUESTIONS if "context" in instance else MAX_INSTANCES
        if chunk and (len(chunk) >= max_instances or size + length > MAX_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(instance)
        size += length
    if chunk:
        yield chunk


def _counted_from(error: BadRequest, offset: int) -> BadRequest:
    """Return the error with `instances[i]` numbered within the whole batch instead of its HTTP request."""

    def shift(text: str) -> str:
        return INSTANCE.sub(lambda match: f"instances[{int(match[1]) + offset}]", text)

    field = None if error.field is None else shift(error.field)
    return BadRequest(shift(str(error)), error.status or 400, error.code, field)
