"""What is printed when nobody reads it any more, as of `serve | head`."""

import os
import sys


def drop() -> None:
    """Sends it nowhere from now on: Python would fail once more at its end, when it flushes the output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
