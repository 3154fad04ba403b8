"""The DVC pipelines in configs/dvc, by a real dvc on a copy of the project: from data to a verified archive."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from archives.verify import verify_archive

ROOT = Path(__file__).parent.parent
# `python` in the stages is the one that runs the tests, wherever dvc is.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
DVC = shutil.which("dvc", path=PATH)
pytestmark = pytest.mark.skipif(DVC is None, reason="dvc is not installed here: make setup EXTRAS=dvc")

STAGES = {"condition", "data", "tune", "fit", "archive"}


@dataclass(frozen=True)
class Clone:
    """A committed copy of the project."""

    root: Path

    @property
    def task(self) -> Path:
        return self.root / "configs" / "sentiment.yaml"

    @property
    def archive(self) -> Path:
        return self.root / "archives" / "store" / "sentiment.mar"

    def dvc(self, *arguments: str, pipeline: str = "sentiment") -> str:
        return self.run(str(DVC), "--cd", str(self.root / "configs" / "dvc" / pipeline), *arguments)

    def run(self, *command: str) -> str:
        """Run a command in the project; return what it prints."""
        site = str(self.root.with_name("site"))
        environment = os.environ | {"PATH": PATH, "DVC_SITE_CACHE_DIR": site, "CUDA_VISIBLE_DEVICES": ""}
        result = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def reproduce(self) -> tuple[set[str], str]:
        """Run the pipeline as `make pipeline` does; return the stages that ran, and what was printed."""
        output = self.run(sys.executable, "-m", "lightning_modules.pipeline", "sentiment")
        return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}, output

    def set(self, **values: Any) -> None:
        """Change the task's settings, by their dotted names with __ for a dot."""
        settings = yaml.safe_load(self.task.read_text())
        for name, value in values.items():
            *groups, key = name.split("__")
            node = settings
            for group in groups:
                node = node[group]
            node[key] = value
        self.task.write_text(yaml.safe_dump(settings, sort_keys=False))

    def metrics(self) -> Any:
        return json.loads((self.root / "configs" / "dvc" / "sentiment" / "metrics.json").read_text())


@pytest.fixture
def clone(tmp_path: Path, tiny_backbone: Path) -> Clone:
    """A clone whose sentiment task trains in seconds."""
    root = tmp_path / "clone"
    for folder in ("archives", "configs", "handlers", "lightning_modules"):
        ignored = shutil.ignore_patterns("__pycache__", "store", "servers", "tmp", "cache", "dvc.lock", "metrics.json")
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    shutil.copy(ROOT / ".gitignore", root)
    clone = Clone(root)
    clone.set(
        model__init_args__backbone=str(tiny_backbone),
        model__init_args__learning_rate=0.01,
        data__init_args__synthetic__init_args__examples=120,
        data__init_args__max_length=24,
        data__init_args__min_steps_per_epoch=1,
        model__init_args__dropout=0.1,
        trainer__max_epochs=1,
        trainer__accelerator="cpu",
        trainer__precision="32-true",
        trainer__enable_progress_bar=False,
        require_cuda=False,
        tune={"space": {"model.weight_decay": {"low": 0.0, "high": 0.1}}},
        export={"min_agreement": 0.0, "max_accuracy_loss": 1.0},
    )
    pipeline = root / "configs" / "dvc" / "sentiment" / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("trials: 4", "trials: 1"))
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=first"]):
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    return clone


def test_a_pipeline_skips_stages_then_makes_a_verified_archive_and_then_runs_what_has_changed_only(
    clone: Clone,
) -> None:
    clone.set(require_cuda=True)
    run = clone.root / "runs" / "sentiment"
    stages, output = clone.reproduce()
    assert stages == STAGES, output
    assert output.count("sentiment: skipped: require_cuda is true") == 3, output  # tune, fit, archive
    assert json.loads((run / "skipped.json").read_text())["stage"] == "fit"
    assert not (run / "export").exists()
    assert not clone.archive.exists()
    assert clone.metrics() == {form: {"accuracy": None, "macro_f1": None} for form in ("torch", "fp32", "int8")}

    clone.set(require_cuda=False)
    stages, output = clone.reproduce()
    assert stages == STAGES - {"data"}, output
    verify_archive(clone.archive)
    assert not (run / "skipped.json").exists()
    assert (run / "tune" / "best.yaml").is_file()
    forms = clone.metrics()
    assert set(forms) == {"torch", "fp32", "int8"}
    shown = json.loads(clone.dvc("metrics", "show", "--json"))[""]["data"]["metrics.json"]["data"]
    assert shown["int8"]["accuracy"] == forms["int8"]["accuracy"] >= 0

    # Nothing new at the top, and what DVC wants in git is all that git sees.
    status = ["git", "status", "--short", "--untracked-files=all"]
    files = subprocess.run(status, cwd=clone.root, capture_output=True, text=True, check=True).stdout.split()[1::2]
    assert sorted(files) == ["configs/dvc/sentiment/dvc.lock", "configs/dvc/sentiment/metrics.json"]

    assert clone.reproduce()[0] == {"condition"}
    clone.archive.unlink()
    assert clone.reproduce()[0] == {"condition", "archive"}
    verify_archive(clone.archive)

    clone.set(model__init_args__dropout=0.2)
    difference = json.loads(clone.dvc("params", "diff", "--json"))
    assert difference["../../sentiment.yaml"] == {"model.init_args.dropout": {"old": 0.1, "new": 0.2, "diff": 0.1}}
    changed = json.loads(clone.dvc("status", "--json"))
    assert {"tune", "fit"} <= set(changed)
    assert "data" not in changed


@pytest.mark.parametrize("pipeline", ["intent", "qa", "sentiment", "student"])
def test_every_pipeline_leads_to_the_archive_of_its_task(clone: Clone, pipeline: str) -> None:
    """A stage's settings stand in the task's YAML, and the files that it needs exist."""
    changed = json.loads(clone.dvc("status", "--json", "--with-deps", "archive", pipeline=pipeline))
    stages = yaml.safe_load((clone.root / "configs" / "dvc" / pipeline / "dvc.yaml").read_text())["stages"]
    assert set(stages) <= set(changed)
    for stage in stages.values():
        for file in stage.get("deps", []):
            of_another_stage = "$" in file or file.endswith("/metrics.json")
            assert of_another_stage or (clone.root / file).exists(), file


def test_a_pipeline_that_does_not_exist_is_one_line() -> None:
    command = [sys.executable, "-m", "lightning_modules.pipeline", "intend"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "error: there is no pipeline intend: configs/dvc has intent, qa, sentiment, student\n"
