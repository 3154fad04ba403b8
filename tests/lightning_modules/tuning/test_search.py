"""Whole searches: their results, a killed process, two processes at once, and what is refused."""

import csv
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from lightning_modules import cli


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
    made = cli.SettingsCLI(args=arguments("fit", f"--config={folder / 'best.yaml'}")[1:], run=False)
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


def test_a_value_that_the_settings_refuse_is_no_interrupt(
    tmp_path: Path, arguments: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {"tune": {"space": {"data.batch_size": {"choices": [16, "many", "more", "most"]}}}}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    with pytest.raises(SystemExit):
        cli.main(arguments("tune", "--trials=4", f"--config={tmp_path / 'space.yaml'}"))
    assert "tune.space has a value that is refused: --data.batch_size=m" in capsys.readouterr().err


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
        if not name.endswith((".definition", ".tune")):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SystemExit):
        cli.main(arguments("tune", "--trials=1"))
    assert "make setup EXTRAS=tune" in capsys.readouterr().err
