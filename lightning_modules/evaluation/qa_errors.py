"""Sort wrong answers into kinds of errors, and show each in its context."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from lightning_modules.evaluation.qa_metrics import Answered

KINDS = {
    "wrong_boundary": "The answer overlaps a reference, but begins or ends elsewhere",
    "no_overlap": "The answer stands in the sentence of a reference, beside it",
    "wrong_sentence": "The answer stands in another sentence than every reference",
    "empty": "No answer was given",
}
# A full stop after one letter, or two of which the first is a capital, is taken for an initial or an abbreviation.
SENTENCE_END = re.compile(r"(?:[!?。！？؟]|(?<!\b[^\W\d_])(?<!\b[A-Z][a-z])\.)[\"'”’)\]]*(?:\s+|(?<=[。！？]))|\n+")
MARGIN = 120  # characters of context on both sides of an answer

Span = tuple[int, int]


def error_kind(one: Answered) -> str | None:
    """Return one of `KINDS`, or None for an exact match.

    A reference counts wherever its text occurs in the context. One that occurs nowhere has no place to compare: then an
    answer that shares a word with it overlaps, and any other counts as in another sentence.
    """
    if one.exact_match:
        return None
    if not one.answer.strip():
        return "empty"
    spans = reference_spans(one)
    end = one.start + len(one.answer)
    if any(one.start < stop and start < end for start, stop in spans) or (not spans and one.f1 > 0):
        return "wrong_boundary"
    starts = [match.end() for match in SENTENCE_END.finditer(one.context)]
    sentences = {bisect_right(starts, start) for start, _ in spans}
    return "no_overlap" if bisect_right(starts, one.start) in sentences else "wrong_sentence"


def reference_spans(one: Answered) -> list[Span]:
    """Return all places in the context where the text of a reference occurs."""
    return sorted(
        (match.start(), match.start() + len(text))
        for text in set(one.references)
        for match in re.finditer(f"(?={re.escape(text)})", one.context)
    )


def errors_by_kind(answered: Sequence[Answered]) -> dict[str, list[Answered]]:
    """Return the wrong answers by kind, the most frequent kind first, and in it the highest score first."""
    kinds: dict[str, list[Answered]] = {kind: [] for kind in KINDS}
    for one in sorted(answered, key=lambda one: -one.score):
        kind = error_kind(one)
        if kind:
            kinds[kind].append(one)
    return {kind: ones for kind, ones in sorted(kinds.items(), key=lambda item: -len(item[1])) if ones}


def error_row(one: Answered) -> dict[str, Any]:
    """Return a wrong answer, ready for JSON."""
    return {
        "id": one.id,
        "kind": error_kind(one),
        "question": one.question,
        "context": one.context,
        "references": list(dict.fromkeys(one.references)),
        "answer": one.answer,
        "start": one.start,
        "score": one.score,
        "f1": one.f1,
    }


def excerpt(one: Answered) -> list[tuple[str, str]]:
    """Return the context around the answer and its nearest references, as pieces of text with their role.

    The role is `predicted`, `reference`, `both` or "" (neither); "…" stands for what is left out.
    """
    answer = (one.start, one.start + len(one.answer))
    references = nearest_references(one)
    marked = [span for span in (answer, *references) if span[0] < span[1]]
    shown = _merged(
        [(max(start - MARGIN, 0), min(end + MARGIN, len(one.context))) for start, end in marked or [(0, 0)]]
    )
    pieces: list[tuple[str, str]] = []
    for start, end in shown:
        if start > 0:
            pieces.append((" … " if pieces else "… ", ""))
        for low, high in _pieces((start, end), marked):
            pieces.append((one.context[low:high], _role(low, answer, references)))
    if shown[-1][1] < len(one.context):
        pieces.append((" …", ""))
    return pieces


def nearest_references(one: Answered) -> list[Span]:
    """Return, for each reference that occurs in the context, its place nearest to the answer."""
    nearest: dict[str, Span] = {}
    for span in sorted(reference_spans(one), key=lambda span: abs(span[0] - one.start)):
        nearest.setdefault(one.context[slice(*span)], span)
    return list(nearest.values())


def _merged(spans: Sequence[Span]) -> list[Span]:
    """Return the spans sorted, those that touch joined."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _pieces(whole: Span, spans: Sequence[Span]) -> Iterator[Span]:
    """Cut `whole` at every edge of the spans in it."""
    edges = {edge for span in spans for edge in span if whole[0] < edge < whole[1]}
    return pairwise(sorted({*whole, *edges}))


def _role(place: int, answer: Span, references: Sequence[Span]) -> str:
    answers = answer[0] <= place < answer[1]
    refers = any(start <= place < end for start, end in references)
    return "both" if answers and refers else "predicted" if answers else "reference" if refers else ""
