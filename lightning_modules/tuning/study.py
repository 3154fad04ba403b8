"""The study: an Optuna database that survives its processes and is shared by several, and the loop that fills it."""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from lightning_modules.errors import UserError
from lightning_modules.settings import Search

HEARTBEAT = 5  # seconds
GRACE = 15  # seconds without a heartbeat, after which a trial's process counts as dead
SHOWN = 5  # differences named in an error
FIRST_PRUNED = 2  # validation: after the first, a long training with its slow warm-up would look bad
BEGUN = "begun"  # the trial's number, once it has had a heartbeat; a copy for another attempt has the old one's
RUNNING = (TrialState.RUNNING,)
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class Surplus(Exception):
    """Another process began the last trial a moment earlier."""


def open_study(
    folder: Path, url: str | None, name: str, search: Search, goal: Mapping[str, Any], *, anew: bool = False
) -> optuna.Study:
    """The study `name` at the database `url`, or in `<folder>/study.db`; a new one where there is none.

    Args:
        folder: has the trials' folders too.
        url: of a database, in SQLAlchemy's form.
        name: of the study.
        search: what is searched, and how.
        goal: as `goal_of` gives it.
        anew: remove a study with another goal, and its trials, and begin a new one.

    Raises:
        UserError: it has another goal, or its database cannot be opened.
    """
    study = _create_or_load(folder, url, name, search, goal)
    known = study.user_attrs.get("goal", goal)
    if known != goal:
        if not anew:
            raise UserError(
                f"the study {name!r} was begun with another {_difference(known, goal)}: "
                "give another --name, or begin it anew with --anew"
            )
        optuna.delete_study(study_name=name, storage=study._storage)
        for trial in folder.glob("trial-*"):
            shutil.rmtree(trial)
        study = _create_or_load(folder, url, name, search, goal)
    study.set_user_attr("goal", goal)
    return study


def _create_or_load(folder: Path, url: str | None, name: str, search: Search, goal: Mapping[str, Any]) -> optuna.Study:
    try:
        return optuna.create_study(
            storage=_storage(folder, url),
            study_name=name,
            direction="maximize" if goal["mode"] == "max" else "minimize",
            pruner=optuna.pruners.MedianPruner(search.startup_trials, FIRST_PRUNED),
            load_if_exists=True,
        )
    except Exception as error:  # each database has errors of its own
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the study's database cannot be opened ({cause}): see --storage") from error


def _difference(known: Mapping[str, Any], goal: Mapping[str, Any]) -> str:
    """What differs, the settings by their names."""
    changed = [key for key in goal if key != "settings" and known.get(key) != goal[key]]
    before, now = known["settings"], goal["settings"]
    changed += sorted(name for name in {**before, **now} if before.get(name) != now.get(name))
    return ", ".join(changed[:SHOWN]) + (f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else "")


def _storage(folder: Path, url: str | None) -> optuna.storages.RDBStorage:
    """With heartbeats: the trials of a process that died are begun anew."""
    url = url or f"sqlite:///{folder.absolute() / 'study.db'}"
    return optuna.storages.RDBStorage(
        url,
        engine_kwargs={"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {},
        heartbeat_interval=HEARTBEAT,
        grace_period=GRACE,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
    )


def fill(
    study: optuna.Study,
    trials: int,
    objective: Callable[[optuna.Trial], float],
    search: Search,
    after: Callable[[FrozenTrial], None],
) -> None:
    """Runs trials until the study has so many finished ones, those of other processes included.

    Waits where the last ones run elsewhere, and takes over those of a process that dies.
    """
    seen: dict[int, float] = {}
    lost = False  # whether another process took this one for dead, and its trial over

    def attempt(trial: optuna.Trial) -> float:
        claimed = [t.number for t in study.get_trials(deepcopy=False) if t.state != TrialState.FAIL]
        if trial.number in sorted(claimed)[trials:]:
            raise Surplus
        # A sampler for every trial: with one seed for the process, two processes would draw the same values.
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=search.startup_trials, seed=search.seed + trial.number
        )
        study._storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]  # `_storage` makes one that has it
        trial.set_user_attr(BEGUN, trial.number)
        nonlocal lost
        try:
            return objective(trial)
        finally:
            lost = trial.number not in {t.number for t in study.get_trials(deepcopy=False, states=RUNNING)}

    def ended(study: optuna.Study, trial: FrozenTrial) -> None:
        if trial.state in FINISHED:
            after(trial)

    while len(finished(study)) < trials:
        running = study.get_trials(deepcopy=False, states=RUNNING)
        if len(finished(study)) + len(running) < trials:
            try:
                study.optimize(attempt, n_trials=1, catch=(Surplus,), callbacks=[ended])
            except Exception:
                if not lost:
                    raise
        else:
            time.sleep(1)
            optuna.storages.fail_stale_trials(study)
            fail_unbegun_trials(study, seen)


def fail_unbegun_trials(study: optuna.Study, seen: dict[int, float]) -> None:
    """Those whose process died before their first heartbeat, which Optuna waits for; `seen`: when, by number."""
    for trial in study.get_trials(deepcopy=False, states=RUNNING):
        first = seen.setdefault(trial.number, time.monotonic())
        if trial.user_attrs.get(BEGUN) != trial.number and time.monotonic() - first > GRACE:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=FINISHED)


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """None as long as no trial is complete."""
    return study.best_trial if study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) else None


def begin_with(study: optuna.Study, values: dict[str, Any], search: Search) -> None:
    """Makes the configuration's own values the first trial of a new study, if the search space holds them."""
    if not study.get_trials(deepcopy=False) and all(search.space[name].holds(value) for name, value in values.items()):
        study.enqueue_trial(values)
