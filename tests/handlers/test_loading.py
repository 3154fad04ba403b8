"""Test that a worker never answers with a damaged or foreign archive or wrong settings."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from handlers.entry import check_origin
from handlers.integrity import INTEGRITY_FILE, IntegrityError, check_integrity, write_integrity
from handlers.model import Limits
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from handlers.settings import HandlerSettings
from handlers.text_classification import ClassificationHandler

SECTION = {
    "model_file": "model_int8.onnx",
    "token_budget": 512,
    "max_rows": 32,
    "max_padding": 8,
    "max_batch_rows": 64,
    "threads": 1,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model.onnx", "handlers/batch.py", "model-config.yaml", "MAR-INF/MANIFEST.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"content of " + name.encode())
    write_integrity(tmp_path)
    return tmp_path


def test_an_untouched_folder_passes_and_may_hold_bytecode(folder: Path) -> None:
    (folder / "handlers" / "__pycache__").mkdir()
    (folder / "handlers" / "__pycache__" / "pipeline.cpython-311.pyc").write_bytes(b"")
    check_integrity(folder)


@pytest.mark.parametrize("name", ["model.onnx", "handlers/batch.py", "model-config.yaml", "MAR-INF/MANIFEST.json"])
def test_the_file_of_a_flipped_bit_is_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[0] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=rf"damaged: {name}\)"):
        check_integrity(folder)


def test_missing_and_extra_files_are_named(folder: Path) -> None:
    (folder / "model.onnx").rename(folder / "model2.onnx")
    with pytest.raises(IntegrityError, match=r"missing: model\.onnx; not from this archive: model2\.onnx"):
        check_integrity(folder)


@pytest.mark.parametrize("content", [b"", b"[1", b"\xff", b"3"])
def test_a_damaged_list_of_files_is_refused(folder: Path, content: bytes) -> None:
    (folder / INTEGRITY_FILE).write_bytes(content)
    with pytest.raises(IntegrityError, match=INTEGRITY_FILE):
        check_integrity(folder)


def test_a_missing_list_of_files_is_refused(folder: Path) -> None:
    (folder / INTEGRITY_FILE).unlink()
    with pytest.raises(IntegrityError, match=f"{INTEGRITY_FILE} is missing"):
        check_integrity(folder)


def test_handlers_from_outside_the_archive_are_refused(folder: Path) -> None:
    with pytest.raises(IntegrityError, match="not from the archive: unset PYTHONPATH"):
        check_origin(folder)


def test_a_worker_checks_the_archive_first(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(IntegrityError, match=r"missing: model\.onnx"):
        ClassificationHandler().initialize(SimpleNamespace(system_properties={"model_dir": str(folder)}))


def test_settings_are_read() -> None:
    settings = HandlerSettings.read({"batchSize": 8, "handler": SECTION})
    assert settings.max_batch_rows == 64
    assert settings.load_arguments() == {"model_file": "model_int8.onnx", "limits": Limits(512, 32, 8), "threads": 1}


def test_a_task_has_settings_that_others_lack() -> None:
    settings = QuestionAnsweringPipeline.settings_class.read({"handler": {**SECTION, "max_windows": 7}})
    assert settings.load_arguments()["max_windows"] == 7
    with pytest.raises(ValueError, match="max_windows"):
        HandlerSettings.read({"handler": {**SECTION, "max_windows": 7}})
    with pytest.raises(ValueError, match=r"handler\.max_windows is 0"):
        QuestionAnsweringPipeline.settings_class.read({"handler": {**SECTION, "max_windows": 0}})


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (None, "has None, expected model_file"),
        ([1], "expected model_file"),
        ({**SECTION, "thread": 1}, "'thread'"),
        ({"threads": 1}, "expected model_file, token_budget, max_rows, max_padding"),
        ({**SECTION, "threads": 0}, "handler.threads is 0"),
        ({**SECTION, "threads": True}, "handler.threads is True"),
        ({**SECTION, "token_budget": "512"}, "handler.token_budget is '512'"),
        ({**SECTION, "model_file": 1}, "handler.model_file is 1"),
    ],
)
def test_wrong_settings_are_named(section: Any, words: str) -> None:
    with pytest.raises(ValueError, match="handler") as raised:
        HandlerSettings.read({"handler": section})
    assert words in str(raised.value)
