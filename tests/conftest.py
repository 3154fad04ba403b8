"""Fixtures that every folder of tests shares."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `runs` folder with one exported model, `tiny`: 4 labels and a complexity head. Copy before you change it."""
    # Imported here: it needs torch, and most tests do not.
    from tests.tiny_export import write_tiny_export

    runs = tmp_path_factory.mktemp("runs")
    write_tiny_export(runs / "tiny" / "export")
    return runs


@pytest.fixture(scope="session")
def tiny_export(tiny_runs: Path) -> Path:
    """The exported folder of `tiny`. Copy before you change it."""
    return tiny_runs / "tiny" / "export"
