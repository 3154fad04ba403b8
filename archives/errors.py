"""What can go wrong around archives and servers, told in words for the person at the command line."""

from __future__ import annotations


class ServerError(Exception):
    """A server cannot be started, found, asked or stopped; the message says what to do."""


class ArchiveError(Exception):
    """An archive cannot be built or does not hold what it should; the message says what to do."""
