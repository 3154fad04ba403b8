"""Exact match and F1 of answers, as SQuAD v1.1's official script (evaluate-v1.1.py) counts them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence

PUNCTUATION = frozenset(string.punctuation)  # ASCII only: official
ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise(text: str) -> str:
    """Lower case, without ASCII punctuation and English articles, with single spaces."""
    kept = "".join(character for character in text.lower() if character not in PUNCTUATION)
    return " ".join(ARTICLES.sub(" ", kept).split())


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1 where the normalised prediction equals one of the references, else 0."""
    return float(normalise(prediction) in map(normalise, references))


def f1(prediction: str, references: Sequence[str]) -> float:
    """Overlap of normalised words with the most similar reference, 0 to 1.

    As in the official script, an empty answer never scores: neither the prediction nor a reference.

    Raises:
        ValueError: there are no references.
    """
    return max(_f1(prediction, reference) for reference in references)


def evaluate(answers: Iterable[tuple[str, Sequence[str]]]) -> dict[str, float]:
    """`exact_match` and `f1` in per cent over pairs of prediction and references, to the official script's last digit.

    Raises:
        ValueError: there are no pairs.
    """
    matches, overlap, total = 0.0, 0.0, 0
    for prediction, references in answers:
        matches += exact_match(prediction, references)
        overlap += f1(prediction, references)  # one by one: `sum` rounds otherwise from Python 3.12 on
        total += 1
    if not total:
        raise ValueError("there are no answers to evaluate")
    return {"exact_match": 100.0 * matches / total, "f1": 100.0 * overlap / total}


def _f1(prediction: str, reference: str) -> float:
    predicted, expected = normalise(prediction).split(), normalise(reference).split()
    same = sum((Counter(predicted) & Counter(expected)).values())
    if not same:
        return 0.0
    precision, recall = same / len(predicted), same / len(expected)
    return (2 * precision * recall) / (precision + recall)
