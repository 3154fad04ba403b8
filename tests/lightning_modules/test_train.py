"""Tasks by their names: which command trains each, and what is said of a wrong one."""

import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from lightning_modules import train
from lightning_modules.train import commands


def test_without_a_task_the_default_ones_are_trained_in_order_with_their_gates() -> None:
    assert commands(["--trainer.max_epochs", "1"]) == [
        ["fit", "--config=configs/intent.yaml", "--name=intent", "--gate.accuracy=0.88", "--trainer.max_epochs", "1"],
        ["distil", "--config=configs/student.yaml", "--name=student", "--seeds=0", "--trainer.max_epochs", "1"],
        ["fit", "--config=configs/qa.yaml", "--name=qa", "--gate.f1=0.5", "--trainer.max_epochs", "1"],
    ]


def test_a_task_by_its_name_has_no_gate_and_takes_another_name() -> None:
    assert commands(["intent"]) == [["fit", "--config=configs/intent.yaml", "--name=intent"]]
    (command,) = commands(["student", "--name", "small", "--seeds", "1", "2"])
    assert command == [
        "distil",
        "--config=configs/student.yaml",
        "--name=student",
        *["--name", "small", "--seeds", "1", "2"],
    ]
    assert [command[0] for command in commands(["qa", "sentiment"])] == ["fit", "fit"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["intnt"], "there is no task intnt, which would be configs/intnt.yaml; did you mean intent?"),
        (["squat"], "there is no task squat, which would be configs/squat.yaml\n"),  # squad.yaml is laid over a task's
        (["--name", "mine"], "--name is the name of one model"),
        (["intent", "qa", "--name=mine"], "--name is the name of one model"),
    ],
)
def test_a_task_that_there_is_not_is_told_with_the_nearest_one(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        train.train(arguments)
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert said in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["intent", "--name=a/b"], "--name 'a/b': use the letters"), (["intent", "--sed=1"], "there is no option --sed")],
)
def test_a_wrong_name_or_option_of_a_task_is_told_in_one_sentence(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lightning_modules"])  # LightningCLI warns of arguments beside its own
    with pytest.raises(SystemExit) as caught:
        train.train(arguments)
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.splitlines()) == 1


def test_several_tasks_end_with_the_time_of_each_and_the_first_failure_ends_all(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    start = subprocess.Popen
    script = "import sys; print(sys.argv[3]); sys.exit(3 if '--fail' in sys.argv else 0)"

    def instead(command: list[str]) -> Any:
        return start([sys.executable, "-c", script, *command[1:]])

    monkeypatch.setattr(train.subprocess, "Popen", instead)
    train.run_all([["fit", "--name=first"], ["distil", "--name=second"]])
    printed = capfd.readouterr().out
    assert re.fullmatch(r"fit\ndistil\ntime: first \d+ s, second \d+ s; \d+ s in all\n", printed)
    with pytest.raises(SystemExit) as caught:
        train.run_all([["fit", "--name=first", "--fail"], ["distil", "--name=second"]])
    assert caught.value.code == 3
    assert capfd.readouterr().out == "fit\n"


def test_a_terminated_command_ends_its_training() -> None:
    script = (
        "import subprocess, sys\nfrom lightning_modules import train\n"
        "real = subprocess.Popen\n"
        "child = 'import time; print(1, flush=True); time.sleep(60)'\n"
        "train.subprocess.Popen = lambda command: real([sys.executable, '-c', child])\n"
        "train.run_all([['fit', '--name=slow'], ['fit', '--name=never']])\n"
    )
    command = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    assert command.stdout.readline() == "1\n"
    start = time.monotonic()
    command.send_signal(signal.SIGTERM)
    assert command.wait(30) == 128 + signal.SIGTERM
    assert time.monotonic() - start < 30
    assert command.stdout.read() == ""
