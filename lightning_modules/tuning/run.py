"""A search from its study to its results."""

import logging
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial

from lightning_modules.errors import UserError
from lightning_modules.settings import Search
from lightning_modules.tuning.results import write_results
from lightning_modules.tuning.space import value_of
from lightning_modules.tuning.study import begin_with, best_trial, fill, finished, open_study
from lightning_modules.tuning.tracked import TrackedSearch
from lightning_modules.tuning.trial import Objective, trial_name


def run(
    of_fit: list[str],
    settings: Any,
    search: Search,
    goal: Mapping[str, Any],
    folder: Path,
    *,
    trials: int,
    url: str | None,
    anew: bool,
) -> None:
    """Searches until the study has so many finished trials, and writes its results into `folder`.

    Raises:
        UserError: the study cannot go on, or no trial was completed.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)  # else each trial tells which devices there are
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    name, monitor = settings["name"], goal["monitor"]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "study.lock"):  # two processes would make tables and parent runs at once
        study = open_study(folder, url, name, search, goal, anew=anew)
        begin_with(study, {name: value_of(settings, name) for name in search.space}, search)
        tracked = TrackedSearch(study, name, settings["runs_dir"]) if settings["mlflow"] else None

    def after(trial: FrozenTrial) -> None:
        print(_line(study, trial, monitor), flush=True)
        _keep_best_checkpoint(study, folder)
        if tracked:
            tracked.end_trial(trial)

    fill(study, trials, Objective(of_fit, str(folder), monitor, search, tracked), search, after)
    best = best_trial(study)
    if best is None:
        raise UserError(f"none of the {trials} trials was completed: see the last figures in {folder}, and the ranges")
    path = write_results(study, best, folder, settings)
    if tracked:
        tracked.end(best, folder)
    print(f"best: trial {best.number} of {len(finished(study))}, {monitor} {best.value:.4f}")
    print(f'settings: {path}, for make train ARGS="--config {path}"')


def _line(study: optuna.Study, trial: FrozenTrial, monitor: str) -> str:
    best = best_trial(study)
    figure = f"{monitor} {trial.value:.4f}" if trial.value is not None else "nothing"
    values = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in trial.params.items()
    )
    leader = f" (best {best.value:.4f}, trial {best.number})" if best else ""
    return f"{trial_name(trial.number)} {trial.state.name.lower()}: {figure}; {values}{leader}"


def _keep_best_checkpoint(study: optuna.Study, folder: Path) -> None:
    best = best_trial(study)
    for trial in study.get_trials(deepcopy=False):
        if trial.state.is_finished() and trial.number != (best.number if best else None):
            shutil.rmtree(folder / trial_name(trial.number) / "checkpoints", ignore_errors=True)
