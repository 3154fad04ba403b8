"""Evaluate and export extractive question answering."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from archives.squad_metric import evaluate
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from lightning_modules.data.questions import QuestionData
from lightning_modules.errors import UserError
from lightning_modules.evaluation.calibration import expected_calibration_error
from lightning_modules.evaluation.qa_metrics import Answered, answer_calibration
from lightning_modules.evaluation.qa_report import write_qa_report
from lightning_modules.models.question_answering import QuestionAnswering
from lightning_modules.sampling import evenly
from lightning_modules.settings import Export
from lightning_modules.tasks.answers import BestAnswers, fitted_temperature
from lightning_modules.tasks.task import GOLDEN_REQUESTS, Outputs, Row, Task, exceeds

# Windows of all golden requests together: an archive's check runs them as one batch, whose rows are limited.
GOLDEN_WINDOWS = 96


class QuestionTask(Task):
    """A row is a window; metrics are over whole questions."""

    kind = "question-answering"
    gate_metrics = ("exact_match", "f1")
    pipeline_class = QuestionAnsweringPipeline

    def __init__(self, model: QuestionAnswering, data: QuestionData) -> None:
        self.network = model.network
        self.data = data
        self.tokenizer_json = data.tokenizer_json
        self.rows = data.tokenised["test"]["input_ids"][:]
        self.answers = BestAnswers(data, "test")
        self.temperature, self.fitted_questions = 1.0, 0

    def calibrate(self, run: Callable[[list[list[int]]], Outputs]) -> None:
        self.temperature, self.fitted_questions = fitted_temperature(self.data, run)

    @property
    def metadata(self) -> dict[str, Any]:
        names = ("max_length", "doc_stride", "max_question_length", "max_answer_tokens", "n_best")
        return {**{name: getattr(self.data, name) for name in names}, "temperature": self.temperature}

    def files(self) -> dict[str, Any]:
        return {}

    def requests(self) -> Sequence[dict[str, Any]]:
        """Return requests of few windows: any `GOLDEN_REQUESTS` of them have at most `GOLDEN_WINDOWS`."""
        chosen = short_questions([len(windows) for windows in self.data.windows_of["test"]])
        rows = self.data.splits["test"].rows.select(chosen)
        return [{"question": row["question"], "context": row["context"]} for row in rows]

    def metrics(self, outputs: Outputs) -> dict[str, float]:
        return _metrics(self._answered(outputs))

    def sample(self, limit: int) -> list[int]:
        """Return the numbers of at most `limit` windows: those of whole questions."""
        windows = self.data.windows_of["test"]
        questions = even_questions([len(rows) for rows in windows], limit)
        return [row for question in questions for row in windows[question]]

    def form_metrics(self, outputs: Outputs, reference: Outputs, rows: Sequence[int]) -> Row:
        """Return `questions`, `exact_match`, `f1`, and `agreement`: the share of questions with torch's answer."""
        questions = np.unique(self.data.tokenised["test"].select(rows)["question"]).tolist()
        answers, expected = (self.answers.of(form, self.temperature, questions) for form in (outputs, reference))
        same = [one.answer == other.answer for one, other in zip(answers, expected, strict=True)]
        return {"questions": len(answers), **_metrics(answers), "agreement": float(np.mean(same))}

    def missed_int8(self, int8: Row, torch: Row, settings: Export) -> list[str]:
        loss = torch["f1"] - int8["f1"]
        if not exceeds(loss, settings.max_f1_loss, int8["questions"]):
            return []
        return [f"it loses {loss:.4f} F1, more than export.max_f1_loss {settings.max_f1_loss}"]

    def report(self, folder: Path, name: str, outputs: Outputs, extras: Mapping[str, Any]) -> None:
        before = expected_calibration_error(answer_calibration(self.answers.of(outputs, temperature=1.0)))
        calibration = {
            "temperature": self.temperature,
            "questions": self.fitted_questions,
            "expected_calibration_error_before": before,
        }
        write_qa_report(folder, name, self._answered(outputs), extras={**extras, "calibration": calibration})

    def _answered(self, outputs: Outputs) -> list[Answered]:
        return self.answers.of(outputs, self.temperature)


def _metrics(answered: Sequence[Answered]) -> dict[str, float]:
    official = evaluate((one.answer, one.references) for one in answered)
    return {name: value / 100 for name, value in official.items()}


def even_questions(counts: Sequence[int], limit: int) -> list[int]:
    """Return the numbers of evenly spread questions with at most `limit` windows in all.

    Args:
        counts: number of windows of each question.
    """
    upper_bound = min(len(counts), limit * len(counts) // sum(counts))
    for number in range(upper_bound, 0, -1):
        chosen = evenly(len(counts), number)
        if sum(counts[question] for question in chosen) <= limit:
            return chosen
    raise UserError("export.check_rows is less than the windows of one question: give more")


def short_questions(counts: Sequence[int]) -> list[int]:
    """Return the numbers of the questions to choose golden requests from.

    These have at most an even share of `GOLDEN_WINDOWS`; if there are none, those with the fewest windows, at least
    one.

    Args:
        counts: number of windows of each question.
    """
    small = [i for i, count in enumerate(counts) if count <= GOLDEN_WINDOWS // GOLDEN_REQUESTS]
    if small:
        return small
    order = np.argsort(counts, kind="stable")
    fitting = int(np.searchsorted(np.cumsum(np.asarray(counts)[order]), GOLDEN_WINDOWS, side="right"))
    return sorted(order[: max(fitting, 1)].tolist())
