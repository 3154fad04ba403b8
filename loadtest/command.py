"""What every command of the load test ends with."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from types import FrameType

from loadtest.errors import LoadTestError

# The exit code where the load generator was itself too slow to measure the server.
INVALID = 3


def exit_code(command: Callable[[], int]) -> int:
    """The command's own; 2 after an error that a person can mend, told in a line; 130 after Ctrl-C or TERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = command()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Python would fail once more at its end, when it flushes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("error: nobody reads the output any more", file=sys.stderr)
        return 2
    except (LoadTestError, OSError, BrokenExecutor) as error:  # a full disk, a process killed for its memory
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def verdict(faults: Sequence[str], failures: int) -> int:
    """The exit code of a measurement: `faults` of the load generator, which are printed, or wrong answers."""
    for fault in faults:
        print(f"not valid: {fault}")
    return INVALID if faults else 1 if failures else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """TERM ends like Ctrl-C, so that the servers of a measurement are stopped."""
    raise KeyboardInterrupt
