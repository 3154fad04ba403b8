"""Unpacks archives, loads what their handlers run, and packs changed folders again."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from archives.serving.settings import DEFAULT_PROFILE, read_profile
from handlers.integrity import write_integrity
from handlers.pipelines.base import Pipeline
from handlers.pipelines.classification import ClassificationPipeline
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from handlers.settings import HandlerSettings
from loadtest.errors import LoadTestError

CONFIG = "model-config.yaml"
PIPELINES: Mapping[str, type[Pipeline]] = {
    "text-classification": ClassificationPipeline,
    "question-answering": QuestionAnsweringPipeline,
}


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into a folder; raise LoadTestError where there is none."""
    try:
        with zipfile.ZipFile(archive) as mar:
            mar.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise LoadTestError(f"{archive}: {error}: build it with make archive NAME={archive.stem}") from error


def model_config(folder: Path) -> dict[str, Any]:
    """Read TorchServe's settings of an unpacked archive, its handler's own among them."""
    return dict(yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8")))


def metadata(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "metadata.json").read_text(encoding="utf-8")))


def handler_settings(folder: Path) -> HandlerSettings:
    return PIPELINES[metadata(folder)["task"]].settings_class.read(model_config(folder))


def load_pipeline(folder: Path) -> Pipeline:
    """Load what the handler of an unpacked archive answers with."""
    return PIPELINES[metadata(folder)["task"]].load(folder, **handler_settings(folder).load_arguments())


def whole_batches(folder: Path) -> dict[str, int]:
    """Return handler settings under which a batch of TorchServe is one micro-batch, padded to its longest row.

    Where a request makes several rows, a batch may become more than one.
    """
    rows = read_profile(DEFAULT_PROFILE)[metadata(folder)["task"]]["batchSize"]
    tokens = rows * metadata(folder)["max_length"]
    return {"max_rows": rows, "token_budget": tokens, "max_padding": tokens}


def pack_with(folder: Path, changes: Mapping[str, int], archive: Path) -> None:
    """Write `archive` from an unpacked one, with `changes` to the handler's settings; they stay in the folder."""
    config = model_config(folder)
    config["handler"] |= changes
    (folder / CONFIG).write_text(yaml.safe_dump(config), encoding="utf-8")
    write_integrity(folder)
    write_zip(folder, archive)


def pack_as(name: str, folder: Path, archive: Path) -> None:
    """Write `archive` from an unpacked one under another name, which stays in the folder."""
    manifest = folder / "MAR-INF" / "MANIFEST.json"
    content = json.loads(manifest.read_text(encoding="utf-8"))
    content["model"]["modelName"] = name
    manifest.write_text(json.dumps(content), encoding="utf-8")
    write_integrity(folder)
    write_zip(folder, archive)


def write_zip(folder: Path, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as mar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            mar.write(path, path.relative_to(folder).as_posix())
