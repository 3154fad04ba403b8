"""Packs an exported model folder, the handlers and their settings into a `.mar`.

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
from datetime import datetime
from pathlib import Path
from typing import Any

import handlers
from archives.errors import ArchiveError
from handlers.integrity import sha256, write_integrity

MODEL_CONFIGS = Path(__file__).parent.parent / "configs" / "serving" / "models"
HANDLERS = Path(handlers.__file__).parent
# What a run leaves that was skipped by its settings.
SKIPPED = "skipped.json"
# TorchServe's entry for each task of metadata.json.
ENTRIES = {"text-classification": "text_classification.py", "question-answering": "question_answering.py"}
# Files of the export that go into the archive beside metadata.json.
COMMON = ("model_int8.onnx", "model.onnx", "model_fp16.pt2", "tokenizer.json", "golden.json")
PACKED = {"text-classification": (*COMMON, "labels.json"), "question-answering": COMMON}


def build_archive(name: str, runs_dir: Path, store_dir: Path) -> Path:
    """Writes `<store_dir>/<name>.mar` from `<runs_dir>/<name>/export` and returns its path.

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


def trained_names(runs_dir: Path) -> list[str]:
    """The runs that there is something to say of: those with an export, and those that were skipped."""
    found = {path.parent.name for file in ("export", SKIPPED) for path in runs_dir.glob(f"*/{file}")}
    if not found:
        raise ArchiveError(f"nothing is trained yet in {runs_dir}: run make train")
    return sorted(found)


def why_skipped(name: str, runs_dir: Path) -> str | None:
    """Why the latest run of this name was skipped, so that an export there is an earlier one's; None: it was not.

    Raises:
        ArchiveError: its record cannot be read.
    """
    record = runs_dir / name / SKIPPED
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["why"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{record} is damaged ({error!r}): train {name} again, or remove the file") from error


def read_export(export: Path, name: str) -> dict[str, Any]:
    """The export's metadata, after its files were compared with it."""
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
    """Lays out what goes into the archive beside the entry: the exported files and the handlers as a package."""
    shutil.copytree(HANDLERS, stage / "handlers", ignore=shutil.ignore_patterns("__pycache__"))
    for entry in ENTRIES.values():  # of the package's top only: a pipeline has the name of its entry
        (stage / "handlers" / entry).unlink()
    for file in (*PACKED[task], "metadata.json"):
        shutil.copy(export / file, stage)


def run_archiver(name: str, metadata: dict[str, Any], stage: Path, temporary: Path) -> Path:
    """Runs torch-model-archiver and returns the folder it laid out."""
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
        # Below a stack trace: the type of the error, then its message, which may have several lines.
        raise ArchiveError(f"torch-model-archiver failed: {' '.join(result.stderr.rpartition('Error: ')[2].split())}")
    return out / name


def fix_creation_time(manifest: Path, created: str) -> None:
    """Puts the export's time in place of the clock's."""
    content = json.loads(manifest.read_text(encoding="utf-8"))
    content["createdOn"] = datetime.fromisoformat(created.replace("Z", "+00:00")).strftime("%d/%m/%Y %H:%M:%S")
    manifest.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_zip(folder: Path, archive: Path) -> None:
    """Replaces `archive` by the files of `folder`, in one step, so that no reader sees half of it."""
    part = archive.with_suffix(".part")
    with zipfile.ZipFile(part, "w") as mar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            mar.writestr(entry, path.read_bytes())
    part.replace(archive)
