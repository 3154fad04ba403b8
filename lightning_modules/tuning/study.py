"""Keep a study in an Optuna database that outlives its processes and is shared by several, and run its trials."""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from lightning_modules.errors import UserError
from lightning_modules.settings import Search

HEARTBEAT = 5  # seconds between two signs of life of a trial
GRACE = 15  # seconds without a heartbeat, after which a trial's process counts as dead
MAX_DIFFERENCES = 5  # differences named in an error
PRUNING_FROM = 2  # number of the first validation that may prune: a slow warm-up looks bad at the first
DEFINITION = "goal"  # user attribute of a study
STARTED = "begun"  # user attribute of a trial: its number after its first heartbeat; a retried copy has the old number
RUNNING = (TrialState.RUNNING,)
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class StudyIsFull(Exception):
    """Another process started the last trial a moment earlier."""


def open_study(
    folder: Path, url: str | None, name: str, search: Search, definition: Mapping[str, Any], *, anew: bool = False
) -> optuna.Study:
    """Load or create the study `name` in the database at `url`, or in `<folder>/study.db`.

    Args:
        folder: folder of the study, with those of its trials.
        url: URL of a database, in SQLAlchemy's form.
        name: name of the study.
        search: the options to search, and how to search them.
        definition: as `study_definition` returns it.
        anew: replace a study with another definition, and its trials.

    Raises:
        UserError: the study has another definition, or its database cannot be opened.
    """
    study = _load_or_create(folder, url, name, search, definition)
    stored = study.user_attrs.get(DEFINITION, definition)
    if stored != definition:
        if not anew:
            raise UserError(
                f"the study {name!r} was started with another {_difference(stored, definition)}: "
                "give another --name, or start it anew with --anew"
            )
        optuna.delete_study(study_name=name, storage=study._storage)
        for trial in folder.glob("trial-*"):
            shutil.rmtree(trial)
        study = _load_or_create(folder, url, name, search, definition)
    study.set_user_attr(DEFINITION, definition)
    return study


def enqueue_first(study: optuna.Study, values: dict[str, Any], search: Search) -> None:
    """Make the configuration's own values the first trial of a new study, if the search space holds them."""
    if not study.get_trials(deepcopy=False) and all(search.space[name].holds(value) for name, value in values.items()):
        study.enqueue_trial(values)


def run_trials(
    study: optuna.Study,
    trials: int,
    objective: Callable[[optuna.Trial], float],
    search: Search,
    on_trial_end: Callable[[FrozenTrial], None],
) -> None:
    """Run trials until the study has `trials` finished ones, those of other processes included.

    Waits while the last ones run elsewhere, and takes over those of a process that dies. Optuna's `MaxTrialsCallback`
    does neither: of two processes, each would start one more, and the first to end would not see the other's result.
    """
    first_seen: dict[int, float] = {}
    taken_over = False  # whether another process took this one for dead, and retried its trial

    def attempt(trial: optuna.Trial) -> float:
        nonlocal taken_over
        numbers = [t.number for t in study.get_trials(deepcopy=False) if t.state != TrialState.FAIL]
        if trial.number in sorted(numbers)[trials:]:
            raise StudyIsFull
        # A sampler for every trial: with one seed for the process, two processes would draw the same values.
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=search.startup_trials, seed=search.seed + trial.number
        )
        study._storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]  # `_storage` makes one that has it
        trial.set_user_attr(STARTED, trial.number)
        try:
            return objective(trial)
        finally:
            taken_over = trial.number not in {t.number for t in study.get_trials(deepcopy=False, states=RUNNING)}

    def report(study: optuna.Study, trial: FrozenTrial) -> None:
        if trial.state in FINISHED:
            on_trial_end(trial)

    while len(finished_trials(study)) < trials:
        running = study.get_trials(deepcopy=False, states=RUNNING)
        if len(finished_trials(study)) + len(running) < trials:
            try:
                study.optimize(attempt, n_trials=1, catch=(StudyIsFull,), callbacks=[report])
            except Exception:
                if not taken_over:
                    raise
        else:
            time.sleep(1)
            optuna.storages.fail_stale_trials(study)
            fail_unstarted_trials(study, first_seen)


def fail_unstarted_trials(study: optuna.Study, first_seen: dict[int, float]) -> None:
    """Fail trials whose process died before their first heartbeat: Optuna would wait for them forever.

    `first_seen` holds the time of the first look at each running trial, by its number, and is added to.
    """
    for trial in study.get_trials(deepcopy=False, states=RUNNING):
        since = first_seen.setdefault(trial.number, time.monotonic())
        if trial.user_attrs.get(STARTED) != trial.number and time.monotonic() - since > GRACE:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=FINISHED)


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """Return None as long as no trial is complete."""
    return study.best_trial if study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) else None


def _load_or_create(
    folder: Path, url: str | None, name: str, search: Search, definition: Mapping[str, Any]
) -> optuna.Study:
    try:
        return optuna.create_study(
            storage=_storage(folder, url),
            study_name=name,
            direction="maximize" if definition["mode"] == "max" else "minimize",
            pruner=optuna.pruners.MedianPruner(search.startup_trials, PRUNING_FROM),
            load_if_exists=True,
        )
    except Exception as error:  # each database has errors of its own
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the study's database cannot be opened ({cause}): see --storage") from error


def _storage(folder: Path, url: str | None) -> optuna.storages.RDBStorage:
    """Open a storage with heartbeats: the trials of a process that died are retried."""
    url = url or f"sqlite:///{folder.absolute() / 'study.db'}"
    return optuna.storages.RDBStorage(
        url,
        engine_kwargs={"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {},
        heartbeat_interval=HEARTBEAT,
        grace_period=GRACE,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
    )


def _difference(stored: Mapping[str, Any], definition: Mapping[str, Any]) -> str:
    """Name the parts that differ; of the settings, each by its name."""
    changed = [key for key in definition if key != "settings" and stored.get(key) != definition[key]]
    before, now = stored["settings"], definition["settings"]
    changed += sorted(name for name in {**before, **now} if before.get(name) != now.get(name))
    more = f" and {len(changed) - MAX_DIFFERENCES} more" if len(changed) > MAX_DIFFERENCES else ""
    return ", ".join(changed[:MAX_DIFFERENCES]) + more
