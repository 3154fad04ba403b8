"""Errors around archives and servers, and what a command does when packages or the readers of its output are missing.

Standard library only: every command line of the repository may import it.
"""

from __future__ import annotations

import importlib.util
import os
import sys


class ServerError(Exception):
    """A server cannot be started, found, asked or stopped; the message says what to do."""


class ArchiveError(Exception):
    """An archive cannot be built or does not hold what it should; the message says what to do."""


def require(*packages: str, extra: str) -> None:
    """Check that packages of an optional dependency group of pyproject.toml are installed.

    Raises:
        ServerError: names those that are not.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ServerError(f"not installed here: {', '.join(missing)}: {install(extra)}")


def install(extra: str) -> str:
    """Return the advice that installs an optional dependency group: in the checkout, which also has the `configs/`."""
    return f"run make setup, or pip install -c constraints.txt -e '.[{extra}]'"


def drop_output() -> None:
    """Discard what is still printed when nobody reads it, as in `serve | head`: the flush at exit would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
