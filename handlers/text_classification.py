"""TorchServe's entry for text classification. It has to define exactly one class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.entry import TextHandler

if TYPE_CHECKING:
    from handlers.pipelines.classification import ClassificationPipeline


class ClassificationHandler(TextHandler):
    """Answers `{"text": …}` with `{"label", "score", "top_k", …}`."""

    def pipeline_class(self) -> type[ClassificationPipeline]:
        from handlers.pipelines.classification import ClassificationPipeline

        return ClassificationPipeline
