"""What every command of the load test ends with."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType

from loadtest.errors import LoadTestError


def exit_code(command: Callable[[], int]) -> int:
    """The command's own; 2 after an error that a person can mend, told in a line; 130 after Ctrl-C or TERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return command()
    except LoadTestError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _interrupt(number: int, frame: FrameType | None) -> None:
    """TERM ends like Ctrl-C, so that the servers of a measurement are stopped."""
    raise KeyboardInterrupt
