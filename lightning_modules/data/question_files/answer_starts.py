"""Where an answer's text stands in its context: checked, and corrected where that is certain."""

from typing import Any

from lightning_modules.data.source_files import BadRow

UNKNOWN = -1


def checked_start(context: str, text: str, start: Any, *, required: bool) -> int:
    """`start`, where the text stands there, or the one place where it stands.

    Raises:
        BadRow: the start is no whole number; or, where it is `required`, it is missing or wrong and cannot be
            corrected. Otherwise that gives `UNKNOWN`.
    """
    if start is None and required:
        raise BadRow("an answer has no answer_start")
    if start is not None and (isinstance(start, bool) or not isinstance(start, int)):
        raise BadRow("answer_start is not a whole number")
    if start is not None and start >= 0 and context.startswith(text, start):
        return start
    first = context.find(text)
    if first >= 0 and context.find(text, first + 1) < 0:
        return first
    if not required:
        return UNKNOWN
    raise BadRow(
        "an answer is not in the context"
        if first < 0
        else "answer_start does not match its text, which stands more than once in the context"
    )


def is_repaired(start: int, given: Any) -> bool:
    """Whether a checked start is another than the one that was given."""
    return start not in (given, UNKNOWN)
