"""Test runs that their settings skipped: they are neither built nor served, and the others are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mini_archive import write_archive


@pytest.fixture
def runs(tiny_runs: Path, tmp_path: Path) -> Path:
    """Make three runs: `tiny` is trained, `early` has the export of a run before it was skipped, `off` has none."""
    folder = shutil.copytree(tiny_runs, tmp_path / "runs")
    shutil.copytree(folder / "tiny", folder / "early")
    for name in ("early", "off"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "skipped.json").write_text(json.dumps({"why": "enable is false"}))
    return folder


def archives(command: str, runs: Path, store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "archives", command, *arguments, "--runs", str(runs), "--store", str(store)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


def test_build_says_which_runs_were_skipped_and_packs_the_others(runs: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    result = archives("build", runs, store)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "early: skipped: enable is false",
        "off: skipped: enable is false",
        str(store / "tiny.mar"),
    ]
    assert [path.name for path in store.iterdir()] == ["tiny.mar"]


def test_a_name_that_was_skipped_is_no_error_and_one_that_never_ran_is(runs: Path, tmp_path: Path) -> None:
    result = archives("build", runs, tmp_path / "store", "off")
    assert (result.returncode, result.stdout) == (0, "off: skipped: enable is false\n")
    result = archives("build", runs, tmp_path / "store", "nobody")
    assert result.returncode == 1
    assert "no exported model" in result.stderr
    result = archives("build", tmp_path / "empty", tmp_path / "store")
    assert result.returncode == 1
    assert "run make train" in result.stderr


def test_a_damaged_record_is_named(runs: Path, tmp_path: Path) -> None:
    (runs / "off" / "skipped.json").write_text("{")
    result = archives("build", runs, tmp_path / "store", "off")
    assert result.returncode == 1
    assert str(runs / "off" / "skipped.json") in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_serve_leaves_out_what_was_skipped(runs: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "store", "early")
    result = archives("serve", runs, tmp_path / "store")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["early: skipped: enable is false", "no model is left to serve"]
    # Serving goes on with the other models, which have no archive here.
    result = archives("serve", runs, tmp_path / "store", "--models", "off", "tiny")
    assert result.stdout.startswith("off: skipped: enable is false\n")
    assert "no archive" in result.stderr
    assert "tiny.mar" in result.stderr
