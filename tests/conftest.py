"""Provide the fixtures that every folder of tests shares."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Marks for all tests below a folder or in a file, so that `make test-fast` leaves them out.
MARKS = {
    "e2e": ["e2e", "loadtest/runs"],
    "train": [
        "lightning_modules/callbacks",
        "lightning_modules/comparison",
        "lightning_modules/distillation",
        "lightning_modules/models",
        "lightning_modules/runs",
        "lightning_modules/tuning",
        "test_pipeline.py",
    ],
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder or file."""
    for item in items:
        for mark, places in MARKS.items():
            if any(item.path.is_relative_to(TESTS / place) for place in places):
                item.add_marker(mark)


def pytest_configure(config: pytest.Config) -> None:
    """Give tests and their commands one thread for torch, no progress bars and a cache for this session."""
    cache = tempfile.TemporaryDirectory(prefix="datasets-")
    config.add_cleanup(cache.cleanup)
    os.environ["OMP_NUM_THREADS"] = "1"  # more threads would only wait for each other
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_DATASETS_CACHE"] = cache.name  # read when `datasets` is imported, before any fixture


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a `runs` folder with the model `tiny`: 4 labels and a complexity head. Copy before you change it."""
    # This import is here because it needs torch, and most tests do not.
    from tests.support.tiny_export import write_tiny_export

    runs = tmp_path_factory.mktemp("runs")
    write_tiny_export(runs / "tiny" / "export")
    return runs


@pytest.fixture(scope="session")
def tiny_export(tiny_runs: Path) -> Path:
    """Return the exported folder of `tiny`. Copy before you change it."""
    return tiny_runs / "tiny" / "export"


@pytest.fixture(scope="session")
def tiny_qa_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a `runs` folder with one exported model that answers questions, `tiny_qa`. Copy before you change it."""
    from tests.support.tiny_qa_export import write_tiny_qa_export

    runs = tmp_path_factory.mktemp("qa_runs")
    write_tiny_qa_export(runs / "tiny_qa" / "export")
    return runs


@pytest.fixture(scope="session")
def tiny_qa_export(tiny_qa_runs: Path) -> Path:
    """Return the exported folder of `tiny_qa`. Copy before you change it."""
    return tiny_qa_runs / "tiny_qa" / "export"


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a two-layer DistilBERT with its tokenizer in a local folder that looks like a hub snapshot."""
    from tests.support.tiny_export import write_tiny_backbone

    return write_tiny_backbone(tmp_path_factory.mktemp("backbone"))
