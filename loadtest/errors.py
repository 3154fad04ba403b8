"""Turns errors, Ctrl-C and verdicts into the exit code of a command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from types import FrameType

from archives.errors import ServerError, drop_output

# Exit code of a run whose load generator was itself too slow to measure the server.
INVALID = 3


class LoadTestError(Exception):
    """Ends a load test or a benchmark before it has a result; the message is one line that says what to do."""


def exit_code(command: Callable[[], int]) -> int:
    """Run `command` and return its exit code: 2 after an error that the user can mend, 130 after Ctrl-C or TERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = command()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        drop_output()
        print("error: nobody reads the output any more", file=sys.stderr)
        return 2
    except (LoadTestError, ServerError, OSError, BrokenExecutor) as error:  # a full disk, a process killed for memory
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def verdict(problems: Sequence[str], failures: int) -> int:
    """Print what makes a measurement invalid, and return its exit code: 3 then, 1 after wrong answers, else 0."""
    for problem in problems:
        print(f"not valid: {problem}")
    return INVALID if problems else 1 if failures else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """TERM ends a command as Ctrl-C does, so that the servers of a measurement are stopped."""
    raise KeyboardInterrupt
