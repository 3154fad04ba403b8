"""Load a model archive in a TorchServe worker and answer its batches: the base class of both entry files.

The archive's files are checked before anything else in it is imported or read, so that an error names the damaged file
instead of whatever that file breaks later.
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
# Share of responseTimeout that a batch may take, by the speed measured while the worker loads. TorchServe ends a worker
# that has not answered within responseTimeout, and the machine may be busier later.
SHARE_OF_TIMEOUT = 0.25
DEFAULT_TIMEOUT = 120  # TorchServe's, in seconds


class TextHandler(ABC):
    """The handler that TorchServe calls. There is one subclass for each task, which provides the task's pipeline."""

    @abstractmethod
    def pipeline_class(self) -> type[Pipeline]:
        """Import the task's pipeline inside the method, so that the archive is checked first, and return it."""

    def initialize(self, context: Any) -> None:
        """Load the model. TorchServe calls this once for each worker.

        Raises `IntegrityError` for damaged files, and `ValueError` for wrong settings or when no model of the archive
        gives the right answers.
        """
        folder = Path(context.system_properties["model_dir"]).resolve()
        check_integrity(folder)
        check_origin(folder)
        from handlers.batch import BatchService
        from handlers.fallback import load_checked
        from handlers.pipelines.base import FP32_FILE, GPU_FILE, read_json

        # There is one worker per core, so the tokenizer must not start threads of its own.
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
        """Answer a batch of request rows. TorchServe calls this once for each batch."""
        return self.service.handle(rows, context)


def gpu_of(context: Any) -> str | None:
    """Return torch's name for the worker's GPU, or None if TorchServe assigned none or torch cannot use it."""
    gpu = context.system_properties.get("gpu_id")
    if gpu is None:
        return None
    from handlers.torch_model import device_of

    device = device_of(gpu)
    if device is None:
        logger.warning("WARNING: torch finds no GPU %s (no CUDA build, or no driver): the CPU serves, slower", gpu)
    return device


def check_origin(folder: Path) -> None:
    """Raise `IntegrityError` if Python imported the package `handlers` from anywhere but the archive."""
    origin = Path(__file__).resolve()
    if not origin.is_relative_to(folder):
        raise IntegrityError(f"handlers was imported from {origin.parent}, not from the archive: unset PYTHONPATH")
