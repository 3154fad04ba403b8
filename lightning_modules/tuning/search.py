"""Run a search from its study to its results."""

import logging
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial

from lightning_modules.errors import UserError
from lightning_modules.settings import Search
from lightning_modules.tuning.definition import full_name
from lightning_modules.tuning.mlflow_runs import StudyRuns
from lightning_modules.tuning.results import write_results
from lightning_modules.tuning.study import best_trial, enqueue_first, finished_trials, open_study, run_trials
from lightning_modules.tuning.trial import Objective, trial_name


def run_search(
    fit_arguments: Sequence[str],
    settings: Any,
    search: Search,
    definition: Mapping[str, Any],
    folder: Path,
    *,
    trials: int,
    url: str | None,
    anew: bool,
) -> None:
    """Run trials until the study has `trials` finished ones, and write its results into `folder`.

    Raises:
        UserError: the study cannot be resumed, or no trial was completed.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)  # else every trial lists the devices
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    name, monitor = settings["name"], definition["monitor"]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "study.lock"):  # two processes would create tables and parent runs at once
        study = open_study(folder, url, name, search, definition, anew=anew)
        enqueue_first(study, {option: settings[full_name(option, settings)] for option in search.space}, search)
        runs = StudyRuns(study, name, settings["runs_dir"]) if settings["mlflow"] else None

    def on_trial_end(trial: FrozenTrial) -> None:
        print(_line(study, trial, monitor), flush=True)
        _remove_other_checkpoints(study, folder)
        if runs:
            runs.end_trial(trial)

    run_trials(study, trials, Objective(fit_arguments, str(folder), monitor, search, runs), search, on_trial_end)
    best = best_trial(study)
    if best is None:
        raise UserError(
            f"none of the {trials} trials was completed: see the last validation metrics in {folder}, and the ranges"
        )
    path = write_results(study, best, folder, settings)
    if runs:
        runs.end(best, folder)
    print(f"best: trial {best.number} of {len(finished_trials(study))}, {monitor} {best.value:.4f}")
    print(f'settings: {path}, for make train ARGS="--config {path}"')


def _line(study: optuna.Study, trial: FrozenTrial, monitor: str) -> str:
    best = best_trial(study)
    reached = f"{monitor} {trial.value:.4f}" if trial.value is not None else "no validation"
    values = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in trial.params.items()
    )
    leader = f" (best {best.value:.4f}, trial {best.number})" if best else ""
    return f"{trial_name(trial.number)} {trial.state.name.lower()}: {reached}; {values}{leader}"


def _remove_other_checkpoints(study: optuna.Study, folder: Path) -> None:
    """Remove the checkpoints of finished trials, except those of the best."""
    best = best_trial(study)
    for trial in study.get_trials(deepcopy=False):
        if trial.state.is_finished() and trial.number != (best.number if best else None):
            shutil.rmtree(folder / trial_name(trial.number) / "checkpoints", ignore_errors=True)
