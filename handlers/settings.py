"""Read the `handler:` section of an archive's model-config.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from handlers.model import Limits


@dataclass(frozen=True)
class HandlerSettings:
    """The settings that all tasks share; a subclass adds those of its task as fields.

    `token_budget`, `max_rows` and `max_padding` limit a micro-batch. `max_batch_rows` limits the rows of a TorchServe
    batch, over all its requests. `threads` is the number of ONNX Runtime's threads.
    """

    model_file: str
    token_budget: int
    max_rows: int
    max_padding: int
    max_batch_rows: int
    threads: int

    @classmethod
    def read(cls, model_config: Mapping[str, Any]) -> HandlerSettings:
        """Read the settings. Raises `ValueError` if a key is missing, unknown or has a wrong value."""
        section = model_config.get("handler")
        known = [field.name for field in fields(cls)]
        if not isinstance(section, Mapping) or sorted(section) != sorted(known):
            keys = sorted(map(str, section)) if isinstance(section, Mapping) else section
            raise ValueError(f"model-config.yaml: section handler has {keys}, expected {', '.join(known)}")
        settings = cls(**section)
        if not isinstance(settings.model_file, str):
            raise ValueError(f"model-config.yaml: handler.model_file is {settings.model_file!r}, expected a file name")
        for name in known[1:]:
            value = section[name]
            if type(value) is not int or value < 1:
                raise ValueError(
                    f"model-config.yaml: handler.{name} is {value!r}, expected a whole number of 1 or more"
                )
        return settings

    def load_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of a pipeline's `load`."""
        arguments = asdict(self)
        del arguments["max_batch_rows"]
        limits = Limits(*(arguments.pop(name) for name in ("token_budget", "max_rows", "max_padding")))
        return {**arguments, "limits": limits}
