"""The Makefile with a stand-in for Python, which notes what pip is to install and which modules are run."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = """#!/bin/sh
case "$*" in
  *"-m venv "*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *"-m pip install "*) echo "$*" >> installed ;;
  "-m "*) echo "$*" >> ran ;;
esac
"""
BASE = "[train,serve,loadtest,tune,dev]"


@dataclass(frozen=True)
class Checkout:
    root: Path

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "PYTHON=./python", *arguments]
        # Without the variables of the make that runs the tests, EXTRAS among them.
        environment = {"PATH": os.environ["PATH"]}
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    def installs(self, *arguments: str) -> list[str]:
        """Return the extras that `make` with these arguments has pip install, such as `[mlflow]`."""
        lines = self._notes("installed", *arguments)
        assert all("-c constraints.txt" in line for line in lines)
        return [line.split("-e .")[1] for line in lines]

    def runs(self, *arguments: str) -> list[str]:
        """Return the modules that `make` with these arguments runs, with their own arguments."""
        return [" ".join(line.removeprefix("-m ").split()) for line in self._notes("ran", *arguments)]

    def _notes(self, name: str, *arguments: str) -> list[str]:
        notes = self.root / name
        notes.unlink(missing_ok=True)
        result = self.make(*arguments)
        assert result.returncode == 0, result.stderr
        return notes.read_text().splitlines() if notes.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return Checkout(tmp_path)


def test_setup_installs_what_is_missing_only(checkout: Checkout) -> None:
    assert checkout.installs("setup") == [BASE]
    assert checkout.installs("setup") == []
    assert checkout.installs("setup", "EXTRAS=mlflow dvc") == ["[dvc]", "[mlflow]"]
    assert checkout.installs("setup", "EXTRAS=mlflow") == checkout.installs("setup") == []


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_a_changed_pin_reaches_the_extras_that_were_installed(checkout: Checkout, changed: str) -> None:
    assert checkout.installs("setup", "EXTRAS=mlflow") == [BASE, "[mlflow]"]
    stamp = (checkout.root / ".venv" / ".extra-mlflow").stat()
    newer = stamp.st_mtime_ns + 1
    os.utime(checkout.root / changed, ns=(newer, newer))
    assert checkout.installs("setup") == [BASE, "[mlflow]"]


def test_an_unknown_extra_is_one_line_before_anything_is_installed(checkout: Checkout) -> None:
    result = checkout.make("setup", "EXTRAS=mlflow mlfow")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert 'EXTRAS="mlflow mlfow": pyproject.toml has no mlfow; give some of train' in line
    assert line.count("mlflow") == 2  # it is among those that there are
    assert not (checkout.root / ".venv").exists()


def test_the_pipeline_has_its_extra(checkout: Checkout) -> None:
    assert checkout.installs("pipeline", "TASK=intent") == [BASE, "[dvc]"]


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (["train", "ARGS=--trainer.max_epochs 1"], "lightning_modules train --trainer.max_epochs 1"),
        (["train", "TASK=qa", "NAME=squad"], "lightning_modules train qa --name squad"),
        (["pipeline", "TASK=intent"], "lightning_modules.pipeline intent"),
        (["predict", "TEXT=hello"], "archives predict --model intent --text hello"),
        (
            ["predict", "MODEL=qa", "QUESTION=Who?", "CONTEXT=Ada"],
            "archives predict --model qa --question Who? --context Ada",
        ),
        (["bench"], "loadtest.bench --models intent student qa"),
        (["bench", "SWEEP=tokens"], "loadtest.bench --models intent --sweep tokens"),
        (["bench", "SWEEP=contexts"], "loadtest.bench --models qa --sweep contexts"),
        (["bench", "SWEEP=contexts", "MODELS=squad"], "loadtest.bench --models squad --sweep contexts"),
    ],
)
def test_a_target_runs_its_module(checkout: Checkout, arguments: list[str], module: str) -> None:
    assert checkout.runs(*arguments) == [module]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["predict"], 'make predict needs TEXT="…", or QUESTION="…" and CONTEXT="…"'),
        (["predict", "QUESTION=Who?"], "make predict needs CONTEXT, such as CONTEXT="),
        (["evaluate", "MODEL=intent"], "make evaluate needs FILE, such as FILE="),
        (["compare"], 'make compare needs MODELS, such as MODELS="intent student"'),
        (["tune"], "make tune needs TASK, such as TASK=sentiment"),
        (["pipeline"], "make pipeline needs TASK, such as TASK=sentiment"),
        (["train", "NAME=mine"], "NAME=mine needs TASK, such as TASK=intent"),
    ],
)
def test_a_missing_variable_is_named_in_a_sentence(checkout: Checkout, arguments: list[str], sentence: str) -> None:
    result = checkout.make(*arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert sentence in line
    assert not (checkout.root / "ran").exists()


def test_a_key_before_anything_is_installed_is_a_sentence(checkout: Checkout) -> None:
    result = checkout.make("token")
    assert result.returncode == 2
    assert result.stdout == ""
    assert "error: nothing is installed here yet: make serve installs" in result.stderr.splitlines()[0]


def test_clean_removes_generated_data_and_leaves_everything_of_the_user(checkout: Checkout) -> None:
    made = ["data/intent/train.csv", "tests/__pycache__/m.pyc", ".ruff_cache/x"]
    own = [
        "data/own.csv",
        "data/own/train.csv",
        "runs/intent/export/model.onnx",
        "archives/store/intent.mar",
        ".venv/bin/x",
    ]
    for file in made + own:
        (checkout.root / file).parent.mkdir(parents=True, exist_ok=True)
        (checkout.root / file).touch()
    result = checkout.make("clean")
    assert result.returncode == 0, result.stderr
    assert "removed data/intent" in result.stdout.splitlines()
    assert not any((checkout.root / file).exists() for file in made)
    assert all((checkout.root / file).exists() for file in own)
