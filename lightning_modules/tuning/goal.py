"""What the trials of a study have in common: with another goal, their values are not to be compared with each other."""

import json
from typing import Any

from lightning_modules.data.described import data_module
from lightning_modules.data.token_cache import fingerprints
from lightning_modules.export.checkpoints import load_checkpoint
from lightning_modules.settings import Search
from lightning_modules.tuning.space import full_name

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
# Of these, the rows and the weights tell, wherever they are.
SOURCES = (
    *(f"data.init_args.{name}" for name in ("train_file", "val_file", "test_file", "dataset", "synthetic")),
    TEACHER,
)


def goal_of(settings: Any, search: Search) -> dict[str, Any]:
    """As JSON: the space, the figure, the rows' and a teacher's fingerprints, and the other settings that decide.

    Args:
        settings: those of `fit` with the first value of each searched one, so that none of them decides.
        search: what is searched.
    """
    searched = {full_name(name, settings) for name in search.space}
    decisive = {name for name, _ in settings.items() if name.startswith(DECISIVE) and not name.startswith(SOURCES)}
    stopping = settings["early_stopping"]
    goal = {
        "space": search.as_json(),
        "monitor": stopping["monitor"],
        "mode": stopping["mode"],
        "data": fingerprints(data_module(settings["data"]).tokenised),
        "teacher": load_checkpoint(settings[TEACHER], "teacher").digest() if TEACHER in settings else None,
        "settings": {name: settings[name] for name in sorted(decisive - searched)},
    }
    as_json: dict[str, Any] = json.loads(json.dumps(goal, default=str))
    return as_json
