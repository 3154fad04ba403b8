"""When and after which wait the client sends a request again."""

from __future__ import annotations

import random
from typing import Any

from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

FIRST_WAIT = 0.1  # seconds; doubled at each retry
BUSY_WAIT = 1.0  # seconds more after a 429, doubled too: the worker has a whole batch before it
JITTER = 0.1  # seconds, at most; keeps many clients from coming back at the same moment


class _RetryUnlessSlow(Retry):
    """Does not repeat a request whose answer did not come within the timeout, and waits longer after a 429."""

    def increment(self, *args: Any, **kwargs: Any) -> Any:
        if isinstance(error := kwargs.get("error"), ReadTimeoutError):
            raise error
        return super().increment(*args, **kwargs)

    def get_backoff_time(self) -> float:
        """Seconds. urllib3's own are 0 before the first retry, so that all clients would come back at once."""
        wait = FIRST_WAIT + (BUSY_WAIT if self.history[-1].status == 429 else 0)
        return min(self.backoff_max, wait * 2.0 ** (len(self.history) - 1) + random.uniform(0, JITTER))


def retry_policy(retries: int) -> Retry:
    """For a refused or broken connection, a 429 and a 503."""
    return _RetryUnlessSlow(
        total=retries,
        status_forcelist=[429, 503],
        allowed_methods=None,
        raise_on_status=False,
    )
