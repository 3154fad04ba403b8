"""Studies and their trials: what is drawn, counted, pruned and taken over."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from lightning_modules.errors import UserError
from lightning_modules.settings import Choices, Range, Search
from lightning_modules.tuning.definition import as_options
from lightning_modules.tuning.study import DEFINITION, enqueue_first, finished_trials, open_study, run_trials
from lightning_modules.tuning.trial import Pruning

SEARCH = Search({"x": Range(0.0, 1.0)}, startup_trials=3)
DEFINED: dict[str, Any] = {
    "space": SEARCH.as_json(),
    "monitor": "val_f1",
    "mode": "max",
    "data": ["a", "b", "c"],
    "teacher": None,
    "settings": {"model.init_args.pooling": "mean", "seed_everything": 0},
}


@pytest.fixture
def study(tmp_path: Path) -> Iterator[optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield open_study(tmp_path, None, "x", SEARCH, DEFINED)


def test_a_study_that_is_stopped_draws_what_an_uninterrupted_one_does(tmp_path: Path, study: optuna.Study) -> None:
    def objective(trial: optuna.Trial) -> float:
        return -abs(float(SEARCH.suggest(trial)["x"]) - 0.3)  # type: ignore[arg-type]

    run_trials(study, 4, objective, SEARCH, lambda trial: None)
    run_trials(study, 12, objective, SEARCH, lambda trial: None)
    (tmp_path / "other").mkdir()
    whole = open_study(tmp_path / "other", None, "x", SEARCH, DEFINED)
    run_trials(whole, 12, objective, SEARCH, lambda trial: None)
    drawn = [[trial.params["x"] for trial in one.get_trials()] for one in (study, whole)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 12


def test_the_last_trial_is_begun_once(study: optuna.Study) -> None:
    """Another process begins it between the look at the database and the own beginning."""
    begin = study.ask

    def objective(trial: optuna.Trial) -> float:
        return float(SEARCH.suggest(trial)["x"])  # type: ignore[arg-type]

    def begin_late() -> optuna.Trial:
        other = optuna.load_study(study_name="x", storage=study._storage)
        other.tell(other.ask(), 0.5)
        return begin()

    study.ask = begin_late  # type: ignore[method-assign,assignment]
    run_trials(study, 1, objective, SEARCH, lambda trial: None)
    assert [trial.number for trial in finished_trials(study)] == [0]
    assert Counter(trial.state.name for trial in study.get_trials()) == {"COMPLETE": 1, "FAIL": 1}


def test_a_trial_whose_process_died_before_its_first_heartbeat_is_not_waited_for(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    optuna.load_study(study_name="x", storage=study._storage).ask()
    monkeypatch.setattr("lightning_modules.tuning.study.GRACE", 0.5)
    run_trials(study, 1, lambda trial: 0.5, SEARCH, lambda trial: None)
    assert [trial.state.name for trial in study.get_trials()] == ["FAIL", "COMPLETE"]


@pytest.mark.parametrize("reports", [True, False])
def test_a_trial_that_another_process_took_over_is_left_to_it(study: optuna.Study, reports: bool) -> None:
    """As when this process stood still for too long."""
    stalled = []

    def objective(trial: optuna.Trial) -> float:
        value = float(SEARCH.suggest(trial)["x"])  # type: ignore[arg-type]
        if not stalled:
            stalled.append(trial.number)
            study._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL)
        if reports:
            trial.report(value, 1)
        return value

    run_trials(study, 2, objective, SEARCH, lambda trial: None)
    assert stalled == [0]
    assert [trial.number for trial in finished_trials(study)] == [1, 2]


def test_a_failing_trial_ends_the_search_and_is_not_counted(study: optuna.Study) -> None:
    def failing(trial: optuna.Trial) -> float:
        raise UserError("no such file")

    with pytest.raises(UserError, match="no such file"):
        run_trials(study, 3, failing, SEARCH, lambda trial: None)
    assert finished_trials(study) == []


def test_values_outside_of_the_space_are_no_first_trial(study: optuna.Study) -> None:
    enqueue_first(study, {"x": 7.0}, SEARCH)
    assert study.get_trials() == []


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"space": Search({"x": Range(0.0, 2.0)}).as_json()}, "space"),
        ({"data": ["a", "b", "d"]}, "data"),
        ({"settings": {"model.init_args.pooling": "cls", "seed_everything": 0}}, "model.init_args.pooling"),
        ({"settings": {"model.init_args.pooling": "mean"}, "mode": "min"}, "mode, seed_everything"),
    ],
)
def test_a_study_with_another_goal_is_refused_or_begun_anew(
    tmp_path: Path, study: optuna.Study, other: dict[str, Any], difference: str
) -> None:
    run_trials(study, 1, lambda trial: 0.5, SEARCH, lambda trial: None)
    (tmp_path / "trial-0").mkdir()
    with pytest.raises(
        UserError, match=f"started with another {difference}: give another --name, or start it anew with"
    ):
        open_study(tmp_path, None, "x", SEARCH, DEFINED | other)
    same = open_study(tmp_path, None, "x", SEARCH, DEFINED, anew=True)  # it has the asked goal
    assert len(finished_trials(same)) == 1
    assert (tmp_path / "trial-0").is_dir()
    begun = open_study(tmp_path, None, "x", SEARCH, DEFINED | other, anew=True)
    assert begun.get_trials() == []
    assert begun.user_attrs[DEFINITION] == DEFINED | other
    assert not (tmp_path / "trial-0").exists()


class FakeTrainer:
    def __init__(self, figure: float, sanity_checking: bool = False) -> None:
        self.callback_metrics = {"val_f1": figure}
        self.sanity_checking = sanity_checking


def test_a_trial_below_the_median_is_pruned_at_its_second_validation(study: optuna.Study) -> None:
    for _ in range(3):
        trial = study.ask()
        for step in (1, 2, 3):
            trial.report(0.8, step)
        study.tell(trial, 0.8)
    pruning: Any = Pruning(study.ask(), "val_f1")
    pruning.on_validation_end(FakeTrainer(0.1, sanity_checking=True), None)
    pruning.on_validation_end(FakeTrainer(0.1), None)
    with pytest.raises(optuna.TrialPruned, match="after 2 validations"):
        pruning.on_validation_end(FakeTrainer(0.2), None)


def test_a_diverging_trial_is_pruned_at_once(study: optuna.Study) -> None:
    pruning: Any = Pruning(study.ask(), "val_f1")
    with pytest.raises(optuna.TrialPruned, match="val_f1 is nan"):
        pruning.on_validation_end(FakeTrainer(float("nan")), None)


def test_a_space_draws_whole_numbers_between_whole_bounds(study: optuna.Study) -> None:
    space = Search({"n": Range(2, 5), "f": Range(0, 1.0), "c": Choices(["mean", None])})
    drawn = [space.suggest(study.ask()) for _ in range(20)]
    assert {type(values["n"]) for values in drawn} == {int}
    assert {values["n"] for values in drawn} <= {2, 3, 4, 5}
    assert {type(values["f"]) for values in drawn} == {float}
    assert {values["c"] for values in drawn} == {"mean", None}
    assert as_options({"model.pooling": "mean", "x": None}) == ["--model.pooling=mean", "--x=null"]
