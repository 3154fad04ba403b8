"""The best answers to the questions of a part, from the outputs of any form of the model."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from handlers.text.spans import Floats, begun
from lightning_modules.data.questions import QuestionData
from lightning_modules.evaluation.answers import Answered
from lightning_modules.tasks.task import Outputs


class BestAnswers:
    """Answers from the model's outputs; a question's outputs, by whatever list they come, are decoded once.

    The outputs are kept as long as this is.
    """

    def __init__(self, data: QuestionData, part: str) -> None:
        self.data = data
        self.part = part
        self.rows = data.parts[part].rows
        # By question, temperature, and which logits; these stay here so that no others get their identity.
        self._decoded: dict[tuple[int, float, int, int], tuple[Floats, Floats, Answered]] = {}

    def of(self, outputs: Outputs, temperature: float, questions: Sequence[int] | None = None) -> list[Answered]:
        """Those to `questions`, by default to all; the outputs are of their windows."""
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
        answer, found = self.data.answer(self.part, question, starts, ends, temperature)
        best = found.spans[0] if found.spans else None
        return Answered(
            row["id"],
            row["question"],
            row["context"],
            tuple(row["answers"]["text"]),
            answer,
            begun(row["context"], best.start) if best else 0,
            best.score if best else found.no_answer_score,
        )
