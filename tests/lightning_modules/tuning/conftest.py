"""A search on a tiny backbone."""

import sys
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from tests.support.topics import topics_options, write_topics

SPACE = {
    "model.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "data.batch_size": {"choices": [16, 32]},
    "trainer.max_epochs": {"low": 1, "high": 2},
}


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
