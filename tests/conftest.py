"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """For tests and the commands they run: one thread for torch, and a folder of the session for cached data sets."""
    cache = tempfile.TemporaryDirectory(prefix="datasets-")
    config.add_cleanup(cache.cleanup)
    os.environ["OMP_NUM_THREADS"] = "1"  # more would only wait for each other
    os.environ["HF_DATASETS_CACHE"] = cache.name  # read when `datasets` is imported, before any fixture


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `runs` folder with one exported model, `tiny`: 4 labels and a complexity head. Copy before you change it."""
    # Imported here: it needs torch, and most tests do not.
    from tests.support.tiny_export import write_tiny_export

    runs = tmp_path_factory.mktemp("runs")
    write_tiny_export(runs / "tiny" / "export")
    return runs


@pytest.fixture(scope="session")
def tiny_export(tiny_runs: Path) -> Path:
    """The exported folder of `tiny`. Copy before you change it."""
    return tiny_runs / "tiny" / "export"


@pytest.fixture(scope="session")
def tiny_qa_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `runs` folder with one exported model that answers questions, `tiny_qa`. Copy before you change it."""
    from tests.support.tiny_qa_export import write_tiny_qa_export

    runs = tmp_path_factory.mktemp("qa_runs")
    write_tiny_qa_export(runs / "tiny_qa" / "export")
    return runs


@pytest.fixture(scope="session")
def tiny_qa_export(tiny_qa_runs: Path) -> Path:
    """The exported folder of `tiny_qa`. Copy before you change it."""
    return tiny_qa_runs / "tiny_qa" / "export"


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer DistilBERT with its tokenizer in a local folder that looks like a hub snapshot."""
    from tests.support.tiny_export import write_tiny_backbone

    return write_tiny_backbone(tmp_path_factory.mktemp("backbone"))
