"""Define a study by what its trials have in common: values of trials with another definition cannot be compared.

Also names searched settings as the parsed configuration and the command line do.
"""

import json
from collections.abc import Mapping
from typing import Any

from lightning_modules.data.base import data_module
from lightning_modules.data.cache import fingerprints
from lightning_modules.export.checkpoints import load_checkpoint
from lightning_modules.settings import Search, Value

# Beginnings of the names of settings that a trial's value depends on; the others say where and how it is run.
DECISIVE = (
    "seed_everything",
    "model.",
    "data.",
    "early_stopping.",
    "trainer.max_",
    "trainer.min_",
    "trainer.limit_",
    "trainer.accumulate_",
    "trainer.gradient_",
    "trainer.overfit_",
    "trainer.val_check_",  # validations are numbered, and compared by their number
    "trainer.check_val_",
)
TEACHER = "model.init_args.teacher"
# Settings that name files and models; fingerprints of rows and weights stand for them, wherever these are stored.
SOURCES = (
    *(f"data.init_args.{name}" for name in ("train_file", "val_file", "test_file", "dataset", "synthetic")),
    TEACHER,
)


def study_definition(settings: Any, search: Search) -> dict[str, Any]:
    """Return as JSON: space, monitored metric, fingerprints of rows and teacher, and the other decisive settings.

    Args:
        settings: settings of `fit` with the first value of each searched one, so that none of them decides.
        search: the options to search.
    """
    searched = {full_name(name, settings) for name in search.space}
    decisive = {name for name, _ in settings.items() if name.startswith(DECISIVE) and not name.startswith(SOURCES)}
    stopping = settings["early_stopping"]
    definition = {
        "space": search.as_json(),
        "monitor": stopping["monitor"],
        "mode": stopping["mode"],
        "data": fingerprints(data_module(settings["data"]).tokenised),
        "teacher": load_checkpoint(settings[TEACHER], "teacher").digest() if TEACHER in settings else None,
        "settings": {name: settings[name] for name in sorted(decisive - searched)},
    }
    as_json: dict[str, Any] = json.loads(json.dumps(definition, default=str))
    return as_json


def full_name(name: str, settings: Any) -> str:
    """`model.learning_rate` -> `model.init_args.learning_rate`, where the settings have a class there."""
    *groups, key = name.split(".")
    parts: list[str] = []
    for group in groups:
        parts.append(group)
        if "class_path" in settings[".".join(parts)]:
            parts.append("init_args")
    return ".".join([*parts, key])


def as_options(values: Mapping[str, Value]) -> list[str]:
    """Return the command line options that set these values."""
    return [f"--{name}={'null' if value is None else value}" for name, value in values.items()]
