"""Decode the model's outputs for the questions of a part, and calibrate the scores of the answers."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from archives.squad_metric import exact_match
from handlers.text.spans import Floats, all_logits, grapheme_start
from lightning_modules.data.questions import QuestionData
from lightning_modules.evaluation.calibration import Gaps, fit_temperature
from lightning_modules.evaluation.qa_metrics import Answered
from lightning_modules.sampling import evenly
from lightning_modules.tasks.task import Outputs

# Upper bounds for one temperature: each window costs a run of the model, and the spans of all are held in memory.
FITTED_QUESTIONS, FITTED_WINDOWS = 1000, 2000


class BestAnswers:
    """Decode the best answers to the questions of a part, each from the same logits only once.

    The logits stay in memory as long as this object.
    """

    def __init__(self, data: QuestionData, part: str) -> None:
        self.data = data
        self.part = part
        self.rows = data.splits[part].rows
        # Answers by question, temperature and identity of the logits, held here so that no others get their identity.
        self._decoded: dict[tuple[int, float, int, int], tuple[Floats, Floats, Answered]] = {}

    def of(self, outputs: Outputs, temperature: float, questions: Sequence[int] | None = None) -> list[Answered]:
        """Return the best answer to each of `questions`, by default to all; `outputs` are those of their windows."""
        windows = self.data.windows_of[self.part]
        starts, ends = iter(outputs["start_logits"]), iter(outputs["end_logits"])
        return [
            self._answer(question, list(islice(starts, count)), list(islice(ends, count)), temperature)
            for question in (range(len(windows)) if questions is None else questions)
            for count in [len(windows[question])]
        ]

    def _answer(self, question: int, starts: Sequence[Floats], ends: Sequence[Floats], temperature: float) -> Answered:
        key = (question, temperature, id(starts[0]), id(ends[0]))
        if key not in self._decoded:
            self._decoded[key] = starts[0], ends[0], self._decode(question, starts, ends, temperature)
        return self._decoded[key][-1]

    def _decode(self, question: int, starts: Sequence[Floats], ends: Sequence[Floats], temperature: float) -> Answered:
        row: dict[str, Any] = self.rows[question]
        answer, decoded = self.data.answer(self.part, question, starts, ends, temperature)
        best = decoded.spans[0] if decoded.spans else None
        return Answered(
            row["id"],
            row["question"],
            row["context"],
            tuple(row["answers"]["text"]),
            answer,
            grapheme_start(row["context"], best.start) if best else 0,
            best.score if best else decoded.no_answer_score,
        )


def fitted_temperature(data: QuestionData, run: Callable[[list[list[int]]], Outputs]) -> tuple[float, int]:
    """Fit the temperature of the scores on the validation part.

    Args:
        run: returns the outputs of rows of token ids.

    Returns:
        The temperature, and the number of questions that it was fitted on.
    """
    ranges = data.windows_of["val"]
    share = FITTED_WINDOWS / sum(map(len, ranges))
    chosen = evenly(len(ranges), max(min(FITTED_QUESTIONS, int(share * len(ranges))), 1))
    rows = data.tokenised["val"].select([window for question in chosen for window in ranges[question]])
    outputs = run(rows["input_ids"][:])
    starts, ends = iter(outputs["start_logits"]), iter(outputs["end_logits"])
    gaps, right = [], []
    for question in chosen:
        count = len(ranges[question])
        logits = list(islice(starts, count)), list(islice(ends, count))
        answer, _ = data.answer("val", question, *logits)
        gaps.append(answer_gaps(*all_logits(data.windows("val", question), *logits, data.max_answer_tokens)))
        right.append(exact_match(answer, data.references("val", question)) == 1)
    return fit_temperature(gaps, np.array(right)), len(chosen)


def answer_gaps(logits: Sequence[Floats], no_answer: float) -> Gaps:
    """Return the logits of all spans and of no answer, less the chosen one's: the best span's if there is any.

    Args:
        logits: of each window's spans, as `all_logits` returns them.
        no_answer: logit of no answer.

    Returns:
        float32 [spans + 1].
    """
    spans = np.concatenate([window.ravel() for window in logits])
    chosen = spans.max() if spans.size else no_answer
    gaps: Gaps = np.append(spans[np.isfinite(spans)], np.float32(no_answer)) - np.float32(chosen)
    return gaps
