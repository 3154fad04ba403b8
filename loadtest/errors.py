"""What stops a load test or a measurement before it has a result."""


class LoadTestError(Exception):
    """The message says what was wrong and what to do; it is shown as one line."""
