"""Load a model archive in a TorchServe worker, and hand its batches on: the base of both entry files.

The archive is checked before anything else of it is imported or read: a damaged file is then named by the check,
instead of failing in a way of its own.
"""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.integrity import IntegrityError, check_integrity

if TYPE_CHECKING:
    from handlers.pipelines.base import Pipeline

logger = logging.getLogger(__name__)
# Share of responseTimeout, after which TorchServe ends a worker that does not answer, that a batch may take as measured
# while the worker is loaded. The machine may be busier later.
SHARE_OF_TIMEOUT = 0.25
DEFAULT_TIMEOUT = 120  # TorchServe's, in seconds


class TextHandler(ABC):
    """A subclass names the pipeline of its task."""

    @abstractmethod
    def pipeline_class(self) -> type[Pipeline]:
        """Import and return the pipeline of the task: inside of the method, so that it happens after the check."""

    def initialize(self, context: Any) -> None:
        """Load the model. TorchServe calls it once a worker.

        Raises `IntegrityError` for damaged files, `ValueError` for wrong settings, and where no model answers rightly.
        """
        folder = Path(context.system_properties["model_dir"]).resolve()
        check_integrity(folder)
        check_origin(folder)
        from handlers.batch import BatchService
        from handlers.fallback import load_checked
        from handlers.pipelines.base import FP32_FILE, GPU_FILE, read_json

        # There is one worker a core: the tokenizer must not start threads of its own.
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        pipeline_class = self.pipeline_class()
        settings = pipeline_class.settings_class.read(context.model_yaml_config)
        device = gpu_of(context)
        pipeline, model_file = load_checked(pipeline_class, folder, device=device, **settings.load_arguments())
        logger.info("%s serves on %s", model_file, device if model_file == GPU_FILE else "the CPU")
        seconds = SHARE_OF_TIMEOUT * context.model_yaml_config.get("responseTimeout", DEFAULT_TIMEOUT)
        max_tokens = pipeline.measure_capacity(seconds, read_json(folder / "metadata.json")["max_length"])
        self.service = BatchService(pipeline, context, settings.max_batch_rows, max_tokens)
        if self.service.metrics:
            self.service.metrics.emit({"serving_fp32_fallback": model_file == FP32_FILE != settings.model_file})
        if context.metrics:  # in a worker of TorchServe
            from ts.protocol import otf_message_handler

            from handlers.protocol import read_ahead

            read_ahead(otf_message_handler)

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[str]:
        """Answer a batch of request rows. TorchServe calls it once a batch."""
        return self.service.handle(rows, context)


def gpu_of(context: Any) -> str | None:
    """Return torch's name of the GPU that TorchServe gave the worker, or None without one that torch can use."""
    gpu = context.system_properties.get("gpu_id")
    if gpu is None:
        return None
    from handlers.torch_model import device_of

    device = device_of(gpu)
    if device is None:
        logger.warning("WARNING: torch finds no GPU %s (no CUDA build, or no driver): the CPU serves, slower", gpu)
    return device


def check_origin(folder: Path) -> None:
    """Raise `IntegrityError` where Python took the package `handlers` from somewhere else than the archive."""
    origin = Path(__file__).resolve()
    if not origin.is_relative_to(folder):
        raise IntegrityError(f"handlers was imported from {origin.parent}, not from the archive: unset PYTHONPATH")
