"""TorchServe's entry for extractive question answering. It has to define exactly one class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.entry import TextHandler

if TYPE_CHECKING:
    from handlers.pipelines.question_answering import QuestionAnsweringPipeline


class QuestionAnsweringHandler(TextHandler):
    """Answers `{"question": …, "context": …}` with `{"answer", "score", "start", "end", …}`."""

    def pipeline_class(self) -> type[QuestionAnsweringPipeline]:
        from handlers.pipelines.question_answering import QuestionAnsweringPipeline

        return QuestionAnsweringPipeline
