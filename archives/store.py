"""Read the model store, a folder of `.mar` files, and the names, labels and golden requests in them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archives.errors import ServerError

STORE = Path(__file__).parent / "store"


@dataclass(frozen=True)
class StoredModel:
    """An archive of the store; `golden` holds its `{"request": ..., "response": ...}` pairs.

    `task` is None if this bundle did not build the archive; `labels` is None if the model has none.
    """

    name: str
    version: str
    archive: Path
    golden: tuple[dict[str, Any], ...]
    task: str | None
    labels: tuple[str, ...] | None = None


def read_archive(archive: Path) -> StoredModel:
    """Read the name, version, labels and golden requests of a `.mar`.

    Raises:
        ServerError: the file is no archive, or has no golden requests.
    """
    try:
        with zipfile.ZipFile(archive) as mar:
            model = json.loads(mar.read("MAR-INF/MANIFEST.json"))["model"]
            golden = json.loads(mar.read("golden.json"))
            metadata = json.loads(mar.read("metadata.json")) if "metadata.json" in mar.namelist() else {}
            labels = json.loads(mar.read("labels.json"))["labels"] if "labels.json" in mar.namelist() else None
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ServerError(f"{archive} is not a usable archive ({error}): build it again with make archive") from error
    if not golden:
        raise ServerError(f"{archive}: golden.json holds no request, so nothing can show that the model works")
    version = str(model.get("modelVersion", "1.0"))
    known = None if labels is None else tuple(labels)
    return StoredModel(model["modelName"], version, archive, tuple(golden), metadata.get("task"), known)


def names(store: Path) -> list[str]:
    """Return the names of all models that have an archive in the store, sorted."""
    return sorted(path.stem for path in store.glob("*.mar"))


def find_models(store: Path, chosen: Sequence[str]) -> list[StoredModel]:
    """Read the archives `<name>.mar` of the `chosen` names, or every archive of the store when none is chosen.

    Raises:
        ServerError: an archive is missing or unusable, or the store is empty.
    """
    archives = [store / f"{name}.mar" for name in chosen or names(store)]
    missing = [archive for archive in archives if not archive.is_file()]
    if missing:
        built = ", ".join(names(store)) or "none"
        hint = f"build it with make archive NAME={missing[0].stem}"
        raise ServerError(f"no archive {missing[0]} (in the store: {built}): {hint}")
    if not archives:
        raise ServerError(f"the model store {store} is empty: build an archive with make archive")
    return [read_archive(archive) for archive in archives]
