"""TorchServe's entry for text classification. It has to define exactly one class."""

from __future__ import annotations

from typing import Any

from handlers.entry import TextHandler


class ClassificationHandler(TextHandler):
    """`{"text": …}` to `{"label", "score", "top_k", …}`; see handlers/pipeline.py."""

    def pipeline(self) -> Any:
        """The class that reads the unpacked archive."""
        from handlers.pipeline import ClassificationPipeline

        return ClassificationPipeline
