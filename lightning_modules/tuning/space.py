"""Name searched settings as the parsed configuration and the command line do."""

from collections.abc import Mapping
from typing import Any

from lightning_modules.settings import Value


def full_name(name: str, settings: Any) -> str:
    """`model.learning_rate` -> `model.init_args.learning_rate`, where the settings have a class there."""
    *groups, key = name.split(".")
    parts: list[str] = []
    for group in groups:
        parts.append(group)
        if "class_path" in settings[".".join(parts)]:
            parts.append("init_args")
    return ".".join([*parts, key])


def value_of(settings: Any, name: str) -> Any:
    return settings[full_name(name, settings)]


def as_options(values: Mapping[str, Value]) -> list[str]:
    """Command line options that set these."""
    return [f"--{name}={'null' if value is None else value}" for name, value in values.items()]
