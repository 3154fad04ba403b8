"""Test archives built from the tiny export: their contents, their reproducible bytes, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from archives.build import MODEL_CONFIGS, PACKED, build_archive
from archives.errors import ArchiveError
from archives.verify import verify_archive
from handlers.pipelines.base import LIMITS
from handlers.pipelines.classification import ClassificationPipeline
from handlers.pipelines.question_answering import QuestionAnsweringPipeline

PIPELINES = {"text-classification": ClassificationPipeline, "question-answering": QuestionAnsweringPipeline}
FILES = PACKED["text-classification"]


@pytest.fixture(scope="module")
def archive(tiny_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_archive("tiny", tiny_runs, tmp_path_factory.mktemp("store"))


@pytest.fixture
def runs(tiny_runs: Path, tmp_path: Path) -> Path:
    """Copy the runs so that a test may damage them."""
    return shutil.copytree(tiny_runs, tmp_path / "runs")


def test_the_archive_holds_the_model_the_handlers_and_their_settings(archive: Path, tiny_export: Path) -> None:
    with zipfile.ZipFile(archive) as mar:
        names = set(mar.namelist())
        manifest = json.loads(mar.read("MAR-INF/MANIFEST.json"))
        for model in ("model_int8.onnx", "model.onnx"):
            assert mar.read(model) == (tiny_export / model).read_bytes()
    assert names >= {*FILES, "metadata.json", "text_classification.py", "model-config.yaml", "integrity.json"}
    assert {"handlers/__init__.py", "handlers/pipelines/classification.py", "handlers/request.py"} <= names
    assert not any("__pycache__" in name or name == "handlers/text_classification.py" for name in names)
    assert manifest["model"] == {
        "modelName": "tiny",
        "modelVersion": "1.0",
        "handler": "text_classification.py",
        "configFile": "model-config.yaml",
    }
    assert manifest["createdOn"] == "02/01/2024 03:04:05"


def test_the_sha256_of_every_packed_file_is_in_the_archive(archive: Path) -> None:
    with zipfile.ZipFile(archive) as mar:
        digests = json.loads(mar.read("integrity.json"))
        digests_of_files = {name: hashlib.sha256(mar.read(name)).hexdigest() for name in mar.namelist()}
    del digests_of_files["integrity.json"]
    assert digests == digests_of_files


def test_a_second_build_has_the_same_bytes(archive: Path, tiny_runs: Path, tmp_path: Path) -> None:
    assert build_archive("tiny", tiny_runs, tmp_path).read_bytes() == archive.read_bytes()


def test_other_files_beside_the_archive_stay(tiny_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archiver deletes <temporary files>/<model name>."""
    precious = tmp_path / "tiny" / "precious"
    precious.parent.mkdir()
    precious.touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    build_archive("tiny", tiny_runs, tmp_path / "store")
    assert precious.exists()
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["tiny.mar"]


def test_a_missing_export_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"intent.*make train TASK=… NAME=intent"):
        build_archive("intent", tmp_path, tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_of_the_export_is_named(runs: Path, tmp_path: Path, name: str) -> None:
    (runs / "tiny" / "export" / name).unlink()
    with pytest.raises(ArchiveError, match=rf"{name} is missing.*make train"):
        build_archive("tiny", runs, tmp_path)


def test_a_changed_file_of_the_export_is_named(runs: Path, tmp_path: Path) -> None:
    (runs / "tiny" / "export" / "labels.json").write_text("{}")
    with pytest.raises(ArchiveError, match=r"labels\.json differs from its sha256"):
        build_archive("tiny", runs, tmp_path)


def test_a_task_without_a_handler_is_named(runs: Path, tmp_path: Path) -> None:
    path = runs / "tiny" / "export" / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"task": "juggling"}))
    with pytest.raises(ArchiveError, match=r"no handler for task 'juggling'.*text-classification"):
        build_archive("tiny", runs, tmp_path)


def test_a_name_that_torchserve_does_not_allow_is_refused(runs: Path, tmp_path: Path) -> None:
    (runs / "tiny").rename(runs / "ti ny")
    with pytest.raises(ArchiveError, match="special characters"):
        build_archive("ti ny", runs, tmp_path)


@pytest.mark.parametrize("path", sorted(MODEL_CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_model_configuration_is_valid(path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load(path.read_text())
    assert not {"batchSize", "maxBatchDelay"} & set(config), "the serving profile could not choose them"
    settings = PIPELINES[path.stem].settings_class.read(config)
    assert settings.model_file in PACKED[path.stem]
    assert settings.load_arguments()["limits"] == LIMITS, (
        "an export would be measured in other micro-batches than served"
    )


def test_an_archive_for_questions_has_its_own_entry_and_no_labels(tiny_qa_runs: Path, tmp_path: Path) -> None:
    archive = build_archive("tiny_qa", tiny_qa_runs, tmp_path)
    verify_archive(archive)
    with zipfile.ZipFile(archive) as mar:
        names = set(mar.namelist())
        manifest = json.loads(mar.read("MAR-INF/MANIFEST.json"))
    assert names >= {*PACKED["question-answering"], "metadata.json", "question_answering.py", "model-config.yaml"}
    assert "labels.json" not in names
    assert not names & {"text_classification.py", "handlers/question_answering.py", "handlers/text_classification.py"}
    assert "handlers/pipelines/question_answering.py" in names
    assert manifest["model"]["handler"] == "question_answering.py"


@pytest.mark.parametrize("content", ["{", "[]", '{"task": "text-classification"}'])
def test_damaged_metadata_is_named(runs: Path, tmp_path: Path, content: str) -> None:
    (runs / "tiny" / "export" / "metadata.json").write_text(content)
    with pytest.raises(ArchiveError, match=r"metadata\.json is damaged.*NAME=tiny"):
        build_archive("tiny", runs, tmp_path)


def test_an_archive_that_fails_its_verification_replaces_nothing(runs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "archives", "build", "tiny", "--runs", str(runs), "--store", str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    before = (tmp_path / "tiny.mar").read_bytes()
    export = runs / "tiny" / "export"
    (export / "golden.json").write_text("[]")
    metadata = json.loads((export / "metadata.json").read_text())
    metadata["files"]["golden.json"] = hashlib.sha256(b"[]").hexdigest()
    (export / "metadata.json").write_text(json.dumps(metadata))
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 1
    assert result.stderr == "error: tiny.mar: golden.json holds no request\n"
    assert [path.name for path in tmp_path.iterdir() if path.name != "runs"] == ["tiny.mar"]
    assert (tmp_path / "tiny.mar").read_bytes() == before
