"""The `handler:` section of an archive's model-config.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from handlers.text.packing import Limits


@dataclass(frozen=True)
class HandlerSettings:
    """`token_budget`, `max_rows` and `max_padding` are the limits of a micro-batch.

    `max_batch_rows` bounds the rows of all requests of a TorchServe batch; `threads` are ONNX Runtime's. A task's own
    settings are fields of a subclass.
    """

    model_file: str
    token_budget: int
    max_rows: int
    max_padding: int
    max_batch_rows: int
    threads: int

    @classmethod
    def read(cls, model_config: Mapping[str, Any]) -> HandlerSettings:
        """Raises `ValueError` naming the key that is missing, unknown or of the wrong type."""
        section = model_config.get("handler")
        known = [field.name for field in fields(cls)]
        if not isinstance(section, Mapping) or sorted(section) != sorted(known):
            found = sorted(map(str, section)) if isinstance(section, Mapping) else section
            raise ValueError(f"model-config.yaml: section handler has {found}, expected {', '.join(known)}")
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

    def of_pipeline(self) -> dict[str, Any]:
        """The keyword arguments of a pipeline's `load`."""
        own = asdict(self)
        limits = Limits(own.pop("token_budget"), own.pop("max_rows"), own.pop("max_padding"))
        del own["max_batch_rows"]
        return {**own, "limits": limits}
