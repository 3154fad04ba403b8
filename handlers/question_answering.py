"""TorchServe's entry for extractive question answering. It has to define exactly one class."""

from __future__ import annotations

from typing import Any

from handlers.entry import TextHandler


class QuestionAnsweringHandler(TextHandler):
    """Answers `{"question": …, "context": …}` with `{"answer", "score", "start", "end", …}`."""

    def pipeline(self) -> Any:
        """The class that reads the unpacked archive."""
        from handlers.pipelines.question_answering import QuestionAnsweringPipeline

        return QuestionAnsweringPipeline
