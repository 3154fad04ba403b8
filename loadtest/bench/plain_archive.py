"""Packs a plain archive of the same weights, for the server that the bundle is compared with."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from loadtest.bench.archive import CONFIG, metadata, write_zip
from loadtest.samples import Sample

HANDLERS = Path(__file__).with_name("plain")
PACKAGES = ("torch", "transformers", "safetensors")
SETTINGS = {"batchSize": 1, "maxBatchDelay": 1, "responseTimeout": 120, "startupTimeout": 120, "jobQueueSize": 1000}
# Fields of requests with several instances, which the plain handler does not answer.
SEVERAL = ("instances", "questions")
# Golden requests to pack: `python -m archives serve` replays them all before a server is ready, and this one is slow.
GOLDEN_REQUESTS = 4


def obstacle(model: Path, export: Path, samples: Sequence[Sample]) -> str | None:
    """Return why there can be no plain archive for an unpacked one of the bundle; None if there can."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        return f"{', '.join(missing)} not installed here"
    if not all((export / name).exists() for name in ("hf", "metadata.json")):
        return f"no weights at {export / 'hf'}"
    if metadata(export) != metadata(model):
        return f"the archive was built from other weights than {export / 'hf'}: build it again with make archive"
    if any(name in sample.request for sample in samples for name in SEVERAL):
        return "it answers one question or text a request"
    return None


def pack_plain(model: Path, export: Path, folder: Path, archive: Path) -> None:
    """Write `archive` from an unpacked one of the bundle and its export; `folder` is new, and gets what is packed."""
    shutil.copytree(export / "hf", folder)
    for name in ("metadata.json", "labels.json"):
        if (export / name).is_file():
            shutil.copy(export / name, folder)
    entry = f"{metadata(model)['task'].replace('-', '_')}.py"
    shutil.copy(HANDLERS / entry, folder)
    manifest = json.loads((model / "MAR-INF" / "MANIFEST.json").read_text(encoding="utf-8"))
    manifest["model"]["handler"] = entry
    (folder / "MAR-INF").mkdir()
    (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / CONFIG).write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    golden = json.loads((model / "golden.json").read_text(encoding="utf-8"))
    requests = [pair["request"] for pair in golden[:GOLDEN_REQUESTS]]
    # In a process of its own: torch is large, and this one measures.
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        answers = process.submit(answers_of, folder, requests).result()
    pairs = [{"request": request, "response": answer} for request, answer in zip(requests, answers, strict=True)]
    (folder / "golden.json").write_text(json.dumps(pairs), encoding="utf-8")
    write_zip(folder, archive)


def answers_of(folder: Path, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers of an unpacked plain archive's handler."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    module = f"loadtest.bench.plain.{metadata(folder)['task'].replace('-', '_')}"
    handler = importlib.import_module(module).PlainHandler()
    handler.initialize(SimpleNamespace(system_properties={"model_dir": str(folder)}))
    return [json.loads(answer) for answer in handler.handle([{"body": request} for request in requests], None)]
