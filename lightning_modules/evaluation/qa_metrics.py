"""Compute metrics of extractive question answering on questions with reference answers."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from archives import squad_metric
from lightning_modules.errors import UserError
from lightning_modules.evaluation.calibration import CalibrationBin, calibration_bins, expected_calibration_error
from lightning_modules.text_files import write_json

RESAMPLES = 1000
ANSWER_WORDS = (1, 2, 5, 10)
CONTEXT_WORDS = (100, 150, 200, 300)
QUESTION_WORD = re.compile(r"\b(what|who|when|where|why|how|which)(?:m|se|'s|s)?\b", re.IGNORECASE)
QUESTION_WORDS = ("what", "who", "when", "where", "why", "how", "which", "other")


@dataclass(frozen=True)
class Answered:
    """A question with its references and the model's best answer, whose `start` counts characters of the context.

    Raises:
        ValueError: there is no reference, the context has another text at `start`, or the score is no probability.
    """

    id: str
    question: str
    context: str
    references: tuple[str, ...]
    answer: str
    start: int
    score: float

    def __post_init__(self) -> None:
        if not self.references:
            raise ValueError(f"question {self.id!r} has no reference answer")
        if not self.context.startswith(self.answer, self.start):
            raise ValueError(f"question {self.id!r}: {self.answer!r} does not stand at {self.start} of the context")
        if not 0 <= self.score <= 1 + 1e-4:
            raise ValueError(f"question {self.id!r}: the score {self.score} is not in [0, 1]")

    @cached_property
    def exact_match(self) -> float:
        return squad_metric.exact_match(self.answer, self.references)

    @cached_property
    def f1(self) -> float:
        return squad_metric.f1(self.answer, self.references)


@dataclass(frozen=True)
class Grouping:
    """Names of groups in their order, and `of`, which returns the group of a question."""

    names: Sequence[str]
    of: Callable[[Answered], str]


def qa_metrics(answered: Sequence[Answered]) -> dict[str, Any]:
    """Return exact match, F1, their intervals, calibration and breakdowns, as fractions of 1, ready for JSON.

    `official` has both in per cent, to the last digit as SQuAD's own script prints them. The 95 % intervals are
    percentiles over 1000 resamples of the questions (bootstrap, always the same draws). The calibration error compares
    the score of an answer with how often it matches exactly. `by` has the metrics of groups of questions: by words of
    the first reference, by question word, and by words of the context.

    Raises:
        UserError: there are no questions.
    """
    if not answered:
        raise UserError("there are no questions to evaluate: give a test set with at least one question")
    official = squad_metric.evaluate((one.answer, one.references) for one in answered)
    exact_match, f1 = _intervals(answered)
    return {
        "questions": len(answered),
        "exact_match": official["exact_match"] / 100,
        "exact_match_interval": exact_match,
        "f1": official["f1"] / 100,
        "f1_interval": f1,
        "official": official,
        "expected_calibration_error": expected_calibration_error(answer_calibration(answered)),
        "by": {name: _breakdown(answered, group) for name, group in GROUPINGS.items()},
    }


def answer_calibration(answered: Sequence[Answered]) -> list[CalibrationBin | None]:
    """Compare the scores of the answers with how often they match exactly."""
    scores = np.array([one.score for one in answered])
    return calibration_bins(scores, np.array([one.exact_match == 1 for one in answered]))


def write_predictions(path: Path, answered: Sequence[Answered]) -> None:
    """Write a prediction file for SQuAD's own script: text of the answer by question id.

    `questions.json` beside it is the data file for that script, which counts every question without an answer as wrong:
    the test file may have more questions than were asked. The script does not use `answer_start`, which is where the
    text first occurs.
    """
    write_json(path, {one.id: one.answer for one in answered})
    paragraphs: dict[str, list[dict[str, Any]]] = {}
    for one in answered:
        answers = [{"text": text, "answer_start": one.context.find(text)} for text in one.references]
        paragraphs.setdefault(one.context, []).append({"id": one.id, "question": one.question, "answers": answers})
    article = {"title": "", "paragraphs": [{"context": context, "qas": qas} for context, qas in paragraphs.items()]}
    write_json(path.with_name("questions.json"), {"version": "1.1", "data": [article]})


def _intervals(answered: Sequence[Answered]) -> tuple[list[float], list[float]]:
    """Return the 95 % intervals of exact match and F1."""
    random, rows = np.random.default_rng(0), len(answered)
    values = np.array([(one.exact_match, one.f1) for one in answered])
    means = np.array([values[random.integers(rows, size=rows)].mean(axis=0) for _ in range(RESAMPLES)])
    exact_match, f1 = np.percentile(means, [2.5, 97.5], axis=0).T.tolist()
    return exact_match, f1


def _breakdown(answered: Sequence[Answered], group: Grouping) -> dict[str, dict[str, float]]:
    members: dict[str, list[Answered]] = {name: [] for name in group.names}
    for one in answered:
        members[group.of(one)].append(one)
    return {
        name: {
            "questions": len(ones),
            "exact_match": float(np.mean([one.exact_match for one in ones])),
            "f1": float(np.mean([one.f1 for one in ones])),
        }
        for name, ones in members.items()
        if ones
    }


def _by_words(upper_bounds: Sequence[int], text: Callable[[Answered], str]) -> Grouping:
    """Group by the number of words: each group ends at one of the `upper_bounds`, the last has all above."""
    lowest = [1, *(bound + 1 for bound in upper_bounds)]
    names = [str(low) if low == high else f"{low}-{high}" for low, high in zip(lowest, upper_bounds, strict=False)]
    names.append(f">{upper_bounds[-1]}")
    return Grouping(names, lambda one: names[int(np.searchsorted(upper_bounds, len(text(one).split())))])


def _question_word(one: Answered) -> str:
    """Return the first question word, wherever it occurs; whom and whose count as who."""
    match = QUESTION_WORD.search(one.question)
    return match[1].lower() if match else "other"


GROUPINGS = {
    "answer_length": _by_words(ANSWER_WORDS, lambda one: one.references[0]),
    "question_word": Grouping(QUESTION_WORDS, _question_word),
    "context_length": _by_words(CONTEXT_WORDS, lambda one: one.context),
}
