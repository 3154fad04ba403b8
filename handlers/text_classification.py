"""TorchServe's entry for text classification. It has to define exactly one class."""

from __future__ import annotations

from typing import Any

from handlers.entry import TextHandler


class ClassificationHandler(TextHandler):
    """Answers `{"text": …}` with `{"label", "score", "top_k", …}`."""

    def pipeline(self) -> Any:
        """The class that reads the unpacked archive."""
        from handlers.pipelines.classification import ClassificationPipeline

        return ClassificationPipeline
