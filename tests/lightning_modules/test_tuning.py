"""The search on a tiny backbone: its results, a killed process, two processes at once, pruning, and what is refused."""

import csv
import json
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
import yaml
from PIL import Image

from lightning_modules import cli
from lightning_modules.errors import UserError
from lightning_modules.tuning.command import parsed
from lightning_modules.tuning.goal import goal_of
from lightning_modules.tuning.space import Choices, Range, Search, as_options
from lightning_modules.tuning.study import begin_with, fill, finished, open_study
from lightning_modules.tuning.trial import Pruning
from tests.lightning_modules.distillation.tiny_teacher import tiny_network, write_tiny_teacher
from tests.lightning_modules.topics import TOPICS, topics_options, write_topics

SPACE = {
    "model.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "data.batch_size": {"choices": [16, 32]},
    "trainer.max_epochs": {"low": 1, "high": 2},
}
SEARCH = Search({"x": Range(0.0, 1.0)}, startup_trials=3)
GOAL: dict[str, Any] = {
    "space": SEARCH.as_json(),
    "monitor": "val_f1",
    "mode": "max",
    "data": ["a", "b", "c"],
    "teacher": None,
    "settings": {"model.init_args.pooling": "mean", "seed_everything": 0},
}


GOAL_DATA = """
import json, sys
from lightning_modules.tuning.command import parsed
from lightning_modules.tuning.goal import goal_of
print(json.dumps(goal_of(*parsed(sys.argv[1:]))["data"]))
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lightning_modules"])  # LightningCLI warns of arguments beside its own
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # as the command does


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("search")
    (folder / "space.yaml").write_text(yaml.safe_dump({"tune": {"space": SPACE, "startup_trials": 2}}))
    return {"data": write_topics(folder / "topics.csv"), "space": folder / "space.yaml"}


@pytest.fixture
def arguments(tmp_path: Path, files: dict[str, Path], tiny_backbone: Path) -> Any:
    def build(command: str, *more: str) -> list[str]:
        return [
            command,
            "--config=configs/intent.yaml",
            f"--config={files['space']}",
            *topics_options(tmp_path, tiny_backbone, files["data"]),
            *more,
        ]

    return build


def command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "lightning_modules", *arguments]


def states(database: Path) -> Counter[str]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return Counter(state for (state,) in connection.execute("select state from trials"))


def test_a_search_leaves_its_best_settings_which_fit_takes(tmp_path: Path, arguments: Any) -> None:
    cli.main(arguments("tune", "--trials=4"))
    folder = tmp_path / "topics" / "tune"
    told = json.loads((folder / "trials.json").read_text())
    assert [trial["number"] for trial in told["trials"]] == [0, 1, 2, 3]
    # The configuration's own settings come first.
    assert told["trials"][0]["parameters"] == {
        "model.learning_rate": 0.01,
        "data.batch_size": 16,
        "trainer.max_epochs": 2,
    }
    best = told["trials"][told["best"]]
    assert best["value"] == max(trial["value"] for trial in told["trials"] if trial["state"] == "complete")
    with (folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["model.learning_rate"]) for row in rows] == [
        trial["parameters"]["model.learning_rate"] for trial in told["trials"]
    ]
    assert Image.open(folder / "history.png").width > 300
    # Only the best trial's weights are kept, and nothing is exported.
    assert [path.parent.name for path in folder.glob("trial-*/checkpoints")] == [f"trial-{told['best']}"]
    assert not list(folder.rglob("export*"))

    cli.main(arguments("fit", f"--config={folder / 'best.yaml'}", "--trainer.fast_dev_run=true"))
    made = cli.SettingsCLI(args=arguments("fit", f"--config={folder / 'best.yaml'}")[1:], run=False, **cli.SETTINGS)
    settings = made.settings  # the file does not go before the options on its left
    assert settings.model.init_args.learning_rate == best["parameters"]["model.learning_rate"]
    assert settings.data.init_args.batch_size == best["parameters"]["data.batch_size"]
    assert settings.trainer.max_epochs == best["parameters"]["trainer.max_epochs"]
    assert settings.model.init_args.backbone != "embedded"


def test_a_killed_search_goes_on_and_two_processes_share_it(tmp_path: Path, arguments: Any) -> None:
    search = command(arguments("tune", "--trials=5"))
    database = tmp_path / "topics" / "tune" / "study.db"
    killed = subprocess.Popen(search, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert killed.stdout is not None
    assert killed.stdout.readline().startswith("trial-0 complete")
    wait_for(lambda: states(database)["RUNNING"] == 1)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before = states(database)
    assert before["RUNNING"] == 1

    both = [subprocess.Popen(search, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    after = states(database)
    assert after["COMPLETE"] + after["PRUNED"] == 5
    assert after["RUNNING"] == after["WAITING"] == 0
    assert after["FAIL"] == 1  # the killed one
    begun = [line.split()[0] for output, _ in told for line in output.splitlines() if line.startswith("trial-")]
    assert len(begun) == len(set(begun)) == 5 - before["COMPLETE"]
    trials = json.loads((tmp_path / "topics" / "tune" / "trials.json").read_text())["trials"]
    assert len({trial["parameters"]["model.learning_rate"] for trial in trials}) == 5


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 120
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield open_study(tmp_path, None, "x", SEARCH, GOAL)


def test_a_study_that_is_stopped_draws_what_an_uninterrupted_one_does(tmp_path: Path, study: optuna.Study) -> None:
    def objective(trial: optuna.Trial) -> float:
        return -abs(float(SEARCH.suggest(trial)["x"]) - 0.3)  # type: ignore[arg-type]

    fill(study, 4, objective, SEARCH, lambda trial: None)
    fill(study, 12, objective, SEARCH, lambda trial: None)
    (tmp_path / "other").mkdir()
    whole = open_study(tmp_path / "other", None, "x", SEARCH, GOAL)
    fill(whole, 12, objective, SEARCH, lambda trial: None)
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
    fill(study, 1, objective, SEARCH, lambda trial: None)
    assert [trial.number for trial in finished(study)] == [0]
    assert Counter(trial.state.name for trial in study.get_trials()) == {"COMPLETE": 1, "FAIL": 1}


def test_a_trial_whose_process_died_before_its_first_heartbeat_is_not_waited_for(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    optuna.load_study(study_name="x", storage=study._storage).ask()
    monkeypatch.setattr("lightning_modules.tuning.study.GRACE", 0.5)
    fill(study, 1, lambda trial: 0.5, SEARCH, lambda trial: None)
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

    fill(study, 2, objective, SEARCH, lambda trial: None)
    assert stalled == [0]
    assert [trial.number for trial in finished(study)] == [1, 2]


def test_a_failing_trial_ends_the_search_and_is_not_counted(study: optuna.Study) -> None:
    def failing(trial: optuna.Trial) -> float:
        raise UserError("no such file")

    with pytest.raises(UserError, match="no such file"):
        fill(study, 3, failing, SEARCH, lambda trial: None)
    assert finished(study) == []


def test_values_outside_of_the_space_are_no_first_trial(study: optuna.Study) -> None:
    begin_with(study, {"x": 7.0}, SEARCH)
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
    fill(study, 1, lambda trial: 0.5, SEARCH, lambda trial: None)
    (tmp_path / "trial-0").mkdir()
    with pytest.raises(UserError, match=f"begun with another {difference}: give another --name, or begin it anew with"):
        open_study(tmp_path, None, "x", SEARCH, GOAL | other)
    same = open_study(tmp_path, None, "x", SEARCH, GOAL, anew=True)  # it has the asked goal
    assert len(finished(same)) == 1
    assert (tmp_path / "trial-0").is_dir()
    begun = open_study(tmp_path, None, "x", SEARCH, GOAL | other, anew=True)
    assert begun.get_trials() == []
    assert begun.user_attrs["goal"] == GOAL | other
    assert not (tmp_path / "trial-0").exists()


def test_a_finished_search_is_not_taken_for_that_of_other_rows(
    tmp_path: Path, arguments: Any, tiny_backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_topics(tmp_path / "own.csv")
    build = partial(arguments, "tune", "--trials=1", f"--data.train_file={data}", "--trainer.limit_train_batches=2")
    cli.main(build())
    cli.main(build())  # all is done
    data.write_text(data.read_text().replace("rain", "hail"))
    with pytest.raises(SystemExit):
        cli.main(build())
    assert "'topics' was begun with another data: give another --name" in capsys.readouterr().err
    cli.main(build("--anew"))
    trials = json.loads((tmp_path / "topics" / "tune" / "trials.json").read_text())["trials"]
    assert [trial["number"] for trial in trials] == [0]


def test_the_goal_is_of_rows_and_settings_and_not_of_where_they_are_or_what_is_searched(
    tmp_path: Path, arguments: Any, files: dict[str, Path]
) -> None:
    settings, search = parsed(arguments("tune")[1:])

    def goal(**values: Any) -> dict[str, Any]:
        """With other settings, by their dotted names with __ for a dot."""
        other = settings.clone()
        for name, value in values.items():
            other[name.replace("__", ".")] = value
        return goal_of(other, search)

    first = goal()
    copy = tmp_path / "copy.csv"
    copy.write_text(files["data"].read_text())
    assert goal(data__init_args__train_file=str(copy), runs_dir="elsewhere", trainer__precision="64-true") == first
    assert goal(data__init_args__batch_size=32, trainer__max_epochs=1) == first  # they are searched

    def changed(**values: Any) -> set[str]:
        other = goal(**values)
        names = {name for name in first["settings"] if other["settings"][name] != first["settings"][name]}
        return names | {key for key in ("space", "monitor", "mode", "data") if other[key] != first[key]}

    assert changed(data__init_args__seed=1) == {"data", "data.init_args.seed"}
    assert changed(data__init_args__max_length=8) == {"data", "data.init_args.max_length"}
    assert changed(model__init_args__pooling="cls") == {"model.init_args.pooling"}
    assert changed(seed_everything=1) == {"seed_everything"}
    assert changed(trainer__gradient_clip_val=0.5) == {"trainer.gradient_clip_val"}
    # Another process gives the rows the same name.
    told = subprocess.run(
        [sys.executable, "-c", GOAL_DATA, *arguments("tune")[1:]], capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout.splitlines()[-1]) == first["data"]


def test_a_value_that_the_settings_refuse_is_no_interrupt(
    tmp_path: Path, arguments: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {"tune": {"space": {"data.batch_size": {"choices": [16, "many", "more", "most"]}}}}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    with pytest.raises(SystemExit):
        cli.main(arguments("tune", "--trials=4", f"--config={tmp_path / 'space.yaml'}"))
    assert "tune.space has a value that is refused: --data.batch_size=m" in capsys.readouterr().err


def test_a_students_search_is_not_taken_for_that_of_another_teacher(
    tmp_path: Path, files: dict[str, Path], tiny_backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def search(*more: str) -> None:
        options = topics_options(tmp_path, tiny_backbone, files["data"])
        student = ["--config=configs/student.yaml", *options, f"--model.teacher={teacher}", "--model.student_layers=1"]
        cli.main(["tune", *student, "--trials=1", "--trainer.limit_train_batches=2", *more])

    teacher = tmp_path / "teacher"
    tokenizer = (tiny_backbone / "tokenizer.json").read_text()
    network = tiny_network(layers=2)
    write_tiny_teacher(teacher / "export", tuple(TOPICS), network, tokenizer)
    search()
    best = yaml.safe_load((tmp_path / "topics" / "tune" / "best.yaml").read_text())
    assert {"alpha", "temperature", "learning_rate"} <= set(best["model"]["init_args"])
    torch.nn.init.zeros_(next(network.parameters()))
    write_tiny_teacher(teacher / "export", tuple(TOPICS), network, tokenizer)
    with pytest.raises(SystemExit):
        search()
    assert "'topics' was begun with another teacher: give another --name" in capsys.readouterr().err
    search("--anew")


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


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--trials=0", "--trials 0: give 1 or more"),
        ("--tune.space={}", "there is nothing to search"),
        ('--tune.space={"model.learning_rate": {"low": 1, "high": 0.1}}', "tune.space.model.learning_rate: low is 1"),
        ('--tune.space={"model.learning_rate": {"low": 0, "high": 1, "log": true}}', "starts above 0"),
        ('--tune.space={"model.learnin_rate": {"low": 0.1, "high": 1}}', "learnin_rate"),
        ('--tune.space={"model.pooling": {"choices": ["median"]}}', "median"),
        ("--storage=nodatabase://host/study", "the study's database cannot be opened"),
        ("--early_stopping.monitor=val_nothing", "val_nothing"),
    ],
)
def test_a_wrong_setting_is_told_without_a_stack_trace(
    arguments: Any, argument: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments("tune", "--trials=1", argument))
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert "Traceback" not in errors


def test_optuna_that_is_not_installed_is_told_with_its_extra(
    arguments: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in [name for name in sys.modules if name.startswith("lightning_modules.tuning.")]:
        if not name.endswith((".space", ".command")):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SystemExit):
        cli.main(arguments("tune", "--trials=1"))
    assert "make setup EXTRAS=tune" in capsys.readouterr().err
