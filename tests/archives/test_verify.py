"""Test that verification runs only the packed code, and names the problem of an archive."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from archives.build import build_archive
from archives.errors import ArchiveError
from archives.verify import verify_archive
from handlers.integrity import write_integrity


@pytest.fixture(scope="module")
def archive(tiny_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_archive("tiny", tiny_runs, tmp_path_factory.mktemp("store"))


def altered(archive: Path, folder: Path, alter: Callable[[Path], object], *, sealed: bool) -> Path:
    """Copy the archive and `alter` its files; if sealed, write an integrity file that matches them."""
    with zipfile.ZipFile(archive) as mar:
        mar.extractall(folder / "model")
    alter(folder / "model")
    if sealed:
        (folder / "model" / "integrity.json").unlink()
        write_integrity(folder / "model")
    copy = folder / "tiny.mar"
    with zipfile.ZipFile(copy, "w") as mar:
        for path in (folder / "model").rglob("*"):
            mar.write(path, path.relative_to(folder / "model"))
    return copy


def replace(name: str, old: str, new: str) -> Callable[[Path], object]:
    def alter(model: Path) -> None:
        text = (model / name).read_text()
        assert old in text
        (model / name).write_text(text.replace(old, new, 1))

    return alter


def test_a_good_archive_passes(archive: Path) -> None:
    verify_archive(archive)


def test_the_packed_code_does_not_see_the_environment(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    verify_archive(archive)


def test_the_packed_handler_is_what_runs(archive: Path, tmp_path: Path) -> None:
    alter = replace("handlers/pipelines/classification.py", '"truncated"', '"cut"')
    verify_archive(altered(archive, tmp_path, alter, sealed=True))
    alter = replace("handlers/pipelines/classification.py", '{"label": labels[column]', '{"label": labels[0]')
    with pytest.raises(ArchiveError, match=r"golden\.json\[\d\]: label '.*', expected '"):
        verify_archive(altered(archive, tmp_path / "again", alter, sealed=True))


@pytest.mark.parametrize(
    "name",
    [
        "model_int8.onnx",
        "model.onnx",
        "tokenizer.json",
        "handlers/pipelines/classification.py",
        "handlers/request.py",
        "model-config.yaml",
    ],
)
def test_a_changed_byte_is_named(archive: Path, tmp_path: Path, name: str) -> None:
    def alter(model: Path) -> None:
        content = bytearray((model / name).read_bytes())
        content[len(content) // 2] ^= 1
        (model / name).write_bytes(content)

    with pytest.raises(ArchiveError, match=f"damaged: {name}"):
        verify_archive(altered(archive, tmp_path, alter, sealed=False))


def test_a_missing_module_is_not_taken_from_the_repository(archive: Path, tmp_path: Path) -> None:
    copy = altered(archive, tmp_path, lambda model: (model / "handlers" / "batch.py").unlink(), sealed=True)
    with pytest.raises(ArchiveError, match=r"No module named 'handlers\.batch'"):
        verify_archive(copy)


def test_an_archive_of_an_earlier_version_has_to_meet_the_current_rules(archive: Path, tmp_path: Path) -> None:
    """Give the module that compares answers its earlier name, since the packed handlers need not have the module."""

    def alter(model: Path) -> None:
        (model / "handlers" / "golden.py").rename(model / "handlers" / "agreement.py")
        for path in (model / "handlers").rglob("*.py"):
            path.write_text(path.read_text().replace("handlers.golden", "handlers.agreement"))

    verify_archive(altered(archive, tmp_path, alter, sealed=True))


def test_a_wrong_golden_answer_is_named(archive: Path, tmp_path: Path) -> None:
    def alter(model: Path) -> None:
        golden = json.loads((model / "golden.json").read_text())
        for form in ("response", "fp32"):
            golden[3][form]["score"] -= 0.05
        (model / "golden.json").write_text(json.dumps(golden))

    with pytest.raises(ArchiveError, match=r"golden\.json\[3\]: the score of label '\w+' is off"):
        verify_archive(altered(archive, tmp_path, alter, sealed=True))


def test_answers_that_depend_on_the_batch_are_named(archive: Path, tmp_path: Path) -> None:
    alter = replace("handlers/batch.py", "zip(exchanges, ", "zip(exchanges[::-1], ")
    with pytest.raises(ArchiveError, match=r"golden\.json\[\d\], in one batch with all others: label '"):
        verify_archive(altered(archive, tmp_path, alter, sealed=True))


def test_an_archive_without_golden_requests_proves_nothing(archive: Path, tmp_path: Path) -> None:
    copy = altered(archive, tmp_path, lambda model: (model / "golden.json").write_text("[]"), sealed=True)
    with pytest.raises(ArchiveError, match="holds no request"):
        verify_archive(copy)


def test_an_entry_with_two_classes_is_refused(archive: Path, tmp_path: Path) -> None:
    alter = replace(
        "text_classification.py", "class ClassificationHandler", "class Other: ...\n\n\nclass ClassificationHandler"
    )
    with pytest.raises(ArchiveError, match="defines 2 classes"):
        verify_archive(altered(archive, tmp_path, alter, sealed=True))


def test_a_truncated_or_missing_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    half = tmp_path / "tiny.mar"
    with pytest.raises(ArchiveError, match="make archive NAME=tiny"):
        verify_archive(half)
    half.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(ArchiveError, match=r"damaged.*make archive NAME=tiny"):
        verify_archive(half)


def test_bytecode_that_would_run_in_place_of_the_code_is_refused(archive: Path, tmp_path: Path) -> None:
    def alter(model: Path) -> None:
        (model / "handlers" / "__pycache__").mkdir()
        (model / "handlers" / "__pycache__" / "batch.cpython-311.pyc").write_bytes(b"anything")

    with pytest.raises(ArchiveError, match=r"holds handlers/__pycache__/.*make archive NAME=tiny"):
        verify_archive(altered(archive, tmp_path, alter, sealed=True))
