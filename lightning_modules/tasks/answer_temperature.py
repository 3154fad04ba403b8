"""The temperature with which the scores of answers are probabilities, from the validation part."""

from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np

from archives.squad_metric import exact_match
from handlers.text.spans import Floats, all_logits
from lightning_modules.data.questions import QuestionData
from lightning_modules.evaluation.temperature import Gaps, fit_temperature
from lightning_modules.sampling import evenly
from lightning_modules.tasks.task import Outputs

# At most: one number needs no more, each costs a run of the model, and the spans of all windows are held in memory.
FITTED_QUESTIONS, FITTED_WINDOWS = 1000, 2000


def fitted_temperature(data: QuestionData, run: Callable[[list[list[int]]], Outputs]) -> tuple[float, int]:
    """The temperature of the scores, and on how many questions of the validation part it was fitted.

    Args:
        run: gives the outputs of rows of token ids.
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
    """Logits as by `all_logits`, less that of the best span, or of no answer where there is no span; [spans + 1]."""
    spans = np.concatenate([window.ravel() for window in logits])
    given = spans.max() if spans.size else no_answer
    gaps: Gaps = np.append(spans[np.isfinite(spans)], np.float32(no_answer)) - np.float32(given)
    return gaps
