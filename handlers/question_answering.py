"""TorchServe's entry for extractive question answering. It has to define exactly one class."""

from __future__ import annotations

from typing import Any

from handlers.entry import TextHandler


class QuestionAnsweringHandler(TextHandler):
    """`{"question": …, "context": …}` to `{"answer", "score", "start", "end", …}`; see handlers/qa_pipeline.py."""

    def pipeline(self) -> Any:
        """The class that reads the unpacked archive."""
        from handlers.qa_pipeline import QuestionAnsweringPipeline

        return QuestionAnsweringPipeline
