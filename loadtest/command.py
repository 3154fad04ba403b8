"""What every command of the load test ends with."""

from __future__ import annotations

import sys
from collections.abc import Callable

from loadtest.errors import LoadTestError


def exit_code(command: Callable[[], int]) -> int:
    """The command's own; 2 after an error that a person can mend, told in a line; 130 after Ctrl-C."""
    try:
        return command()
    except LoadTestError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
