"""Pack an exported model folder, the handlers and their settings into a `.mar`.

    python -m archives build intent

The same inputs give the same bytes: times are fixed, files are sorted, and nothing is compressed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import handlers
from archives.errors import ArchiveError
from archives.verify import verify_archive
from handlers.integrity import sha256, write_integrity

MODEL_CONFIGS = Path(__file__).parent.parent / "configs" / "serving" / "models"
HANDLERS = Path(handlers.__file__).parent
# File that lightning_modules/skipping.py writes for a run that its settings skipped. The two folders do not import each
# other, so this name and the key `why` in the file are a contract, as the exported folder's files are.
SKIPPED = "skipped.json"
# Entry file for TorchServe, by the task in metadata.json.
ENTRIES = {"text-classification": "text_classification.py", "question-answering": "question_answering.py"}
# Exported files that go into the archive beside metadata.json.
COMMON = ("model_int8.onnx", "model.onnx", "model_fp16.pt2", "tokenizer.json", "golden.json")
PACKED = {"text-classification": (*COMMON, "labels.json"), "question-answering": COMMON}


def build_archive(name: str, runs_dir: Path, store_dir: Path) -> Path:
    """Write `<store_dir>/<name>.mar` from `<runs_dir>/<name>/export` and return its path.

    Raises:
        ArchiveError: the export is missing, incomplete or damaged, its task has no handler, or its name is not allowed.
    """
    export = runs_dir / name / "export"
    metadata = read_export(export, name)
    with tempfile.TemporaryDirectory(prefix="archive-") as temporary:
        stage = Path(temporary, "stage")
        stage_files(export, stage, metadata["task"])
        model = run_archiver(name, metadata, stage, Path(temporary))
        fix_creation_time(model / "MAR-INF" / "MANIFEST.json", metadata["created"])
        write_integrity(model)
        archive = store_dir / f"{name}.mar"
        store_dir.mkdir(parents=True, exist_ok=True)
        write_zip(model, archive)
    return archive


def build_verified(name: str, runs_dir: Path, store_dir: Path) -> Path:
    """Build and verify an archive, then move it to `<store_dir>/<name>.mar`: a bad one never replaces a good one.

    Raises:
        ArchiveError: it cannot be built, or a golden request does not get its answer.
    """
    store_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=store_dir) as temporary:
        archive = build_archive(name, runs_dir, Path(temporary))
        verify_archive(archive)
        return archive.replace(store_dir / archive.name)


def trained_names(runs_dir: Path) -> list[str]:
    """Return the names of the runs with an export and of those that were skipped, sorted."""
    names = {path.parent.name for file in ("export", SKIPPED) for path in runs_dir.glob(f"*/{file}")}
    if not names:
        raise ArchiveError(f"nothing is trained yet in {runs_dir}: run make train")
    return sorted(names)


def not_skipped(names: Iterable[str], runs_dir: Path) -> Iterator[str]:
    """Yield the names whose latest run was not skipped, and print why each of the others was.

    The export in a skipped run's folder comes from an earlier run. Raises ArchiveError for an unreadable record.
    """
    for name in names:
        why = _why_skipped(name, runs_dir)
        if why is None:
            yield name
        else:
            print(f"{name}: skipped: {why}", flush=True)


def _why_skipped(name: str, runs_dir: Path) -> str | None:
    record = runs_dir / name / SKIPPED
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["why"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{record} is damaged ({error!r}): train {name} again, or remove the file") from error


def read_export(export: Path, name: str) -> dict[str, Any]:
    """Return the export's metadata after checking that its files agree with it.

    Raises:
        ArchiveError: a file is missing or damaged, or its task has no handler.
    """
    path = export / "metadata.json"
    if not path.is_file():
        raise ArchiveError(f"no exported model at {export}: create it with make train TASK=… NAME={name}")
    again = f"export it again with make train TASK=… NAME={name}"
    try:
        metadata: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        task, digests = metadata["task"], dict(metadata["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path} is damaged ({error!r}): {again}") from error
    if task not in ENTRIES:
        raise ArchiveError(f"{path}: no handler for task {task!r}; there are handlers for {', '.join(ENTRIES)}")
    for file in PACKED[task]:
        if not (export / file).is_file():
            raise ArchiveError(f"{export / file} is missing: {again}")
        if sha256(export / file) != digests.get(file):
            raise ArchiveError(f"{export / file} differs from its sha256 in metadata.json: {again}")
    return metadata


def stage_files(export: Path, stage: Path, task: str) -> None:
    """Copy the exported files and the handlers, as a package, which go into the archive beside its entry file."""
    shutil.copytree(HANDLERS, stage / "handlers", ignore=shutil.ignore_patterns("__pycache__"))
    for entry in ENTRIES.values():  # by path, since a pipeline has the same file name as its entry
        (stage / "handlers" / entry).unlink()
    for file in (*PACKED[task], "metadata.json"):
        shutil.copy(export / file, stage)


def run_archiver(name: str, metadata: dict[str, Any], stage: Path, temporary: Path) -> Path:
    """Run torch-model-archiver and return the folder it made."""
    config = temporary / "model-config.yaml"
    shutil.copy(MODEL_CONFIGS / f"{metadata['task']}.yaml", config)
    out, scratch = temporary / "out", temporary / "scratch"
    out.mkdir()
    scratch.mkdir()
    options = {
        "--model-name": name,
        "--version": metadata["version"],
        "--handler": str(HANDLERS / ENTRIES[metadata["task"]]),
        "--extra-files": str(stage),
        "--config-file": str(config),
        "--archive-format": "no-archive",
        "--export-path": str(out),
    }
    # The archiver deletes the folder <temporary files>/<model name>: it gets a scratch folder of its own.
    result = subprocess.run(
        [sys.executable, "-m", "model_archiver.model_packaging", *(part for pair in options.items() for part in pair)],
        env=os.environ | {"TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        # A stack trace ends with the type of the error and its message, which may have several lines.
        raise ArchiveError(f"torch-model-archiver failed: {' '.join(result.stderr.rpartition('Error: ')[2].split())}")
    return out / name


def fix_creation_time(manifest: Path, created: str) -> None:
    """Replace the time of packing with that of the export, so that the same inputs give the same bytes."""
    content = json.loads(manifest.read_text(encoding="utf-8"))
    content["createdOn"] = datetime.fromisoformat(created.replace("Z", "+00:00")).strftime("%d/%m/%Y %H:%M:%S")
    manifest.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_zip(folder: Path, archive: Path) -> None:
    """Pack the files of `folder`, and replace `archive` in one step, so that nobody reads a partial archive."""
    part = archive.with_suffix(".part")
    with zipfile.ZipFile(part, "w") as mar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            mar.writestr(entry, path.read_bytes())
    part.replace(archive)
