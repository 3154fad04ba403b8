"""TorchServe's entry for text classification. It has to define exactly one class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handlers.entry import TextHandler


class ClassificationHandler(TextHandler):
    """`{"text": …}` to `{"label", "score", "top_k", …}`; see handlers/pipeline.py."""

    def load_pipeline(self, folder: Path, settings: Mapping[str, Any]) -> Any:
        """Reads the unpacked archive."""
        from handlers.pipeline import ClassificationPipeline

        return ClassificationPipeline.load(folder, **settings)
