"""Provide arguments for a run of the command line that takes seconds."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.topics import topics_options, write_topics


@pytest.fixture(scope="module")
def data_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_topics(tmp_path_factory.mktemp("data") / "topics.csv")


@pytest.fixture
def arguments(tmp_path: Path, data_file: Path, tiny_backbone: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that builds the arguments of `cli.main` for a run on the topics."""
    # LightningCLI warns of other arguments in sys.argv.
    monkeypatch.setattr(sys, "argv", ["lightning_modules"])

    def build(*more: str, epochs: int = 2, name: str = "topics") -> list[str]:
        return [
            "fit",
            "--config=configs/intent.yaml",
            *topics_options(tmp_path, tiny_backbone, data_file, epochs),
            f"--name={name}",
            "--data.complexity_column=complexity",
            *more,
        ]

    return build
