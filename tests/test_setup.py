"""`make setup` with a stand-in for Python, which notes what pip is asked for."""

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
  *"-m pip install "*) echo "$*" >> asked ;;
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

    def asked(self, *arguments: str) -> list[str]:
        """What `make` with these arguments has pip install, such as `[mlflow]`."""
        note = self.root / "asked"
        note.unlink(missing_ok=True)
        result = self.make(*arguments)
        assert result.returncode == 0, result.stderr
        lines = note.read_text().splitlines() if note.exists() else []
        assert all("-c constraints.txt" in line for line in lines)
        return [line.split("-e .")[1] for line in lines]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return Checkout(tmp_path)


def test_setup_installs_what_is_missing_only(checkout: Checkout) -> None:
    assert checkout.asked("setup") == [BASE]
    assert checkout.asked("setup") == []
    assert checkout.asked("setup", "EXTRAS=mlflow dvc") == ["[dvc]", "[mlflow]"]
    assert checkout.asked("setup", "EXTRAS=mlflow") == checkout.asked("setup") == []


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_a_changed_pin_reaches_the_extras_that_were_installed(checkout: Checkout, changed: str) -> None:
    assert checkout.asked("setup", "EXTRAS=mlflow") == [BASE, "[mlflow]"]
    stamp = (checkout.root / ".venv" / ".extra-mlflow").stat()
    newer = stamp.st_mtime_ns + 1
    os.utime(checkout.root / changed, ns=(newer, newer))
    assert checkout.asked("setup") == [BASE, "[mlflow]"]


def test_an_unknown_extra_is_told_in_one_line_before_anything_is_installed(checkout: Checkout) -> None:
    result = checkout.make("setup", "EXTRAS=mlflow mlfow")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert 'EXTRAS="mlflow mlfow": pyproject.toml has no mlfow; give some of train' in line
    assert line.count("mlflow") == 2  # it is among those that there are
    assert not (checkout.root / ".venv").exists()


def test_the_pipeline_has_its_extra(checkout: Checkout) -> None:
    told = checkout.make("--dry-run", "pipeline", "TASK=intent").stdout
    assert '-e ".[dvc]"' in told
