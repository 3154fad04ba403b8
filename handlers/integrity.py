"""The sha256 of every file of an unpacked archive, written when it is built and checked when it is loaded.

Standard library only: it runs before anything else of the archive is imported.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

INTEGRITY_FILE = "integrity.json"
PART = 1 << 20  # bytes


class IntegrityError(Exception):
    """An archive's files are not the ones it was built with; the message names the files."""


def write_integrity(folder: Path) -> None:
    """Writes `integrity.json`: relative path -> sha256 for every other file of the folder."""
    digests = {name: sha256(folder / name) for name in sorted(_files(folder))}
    (folder / INTEGRITY_FILE).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


def check_integrity(folder: Path) -> None:
    """Raises `IntegrityError` unless the folder holds exactly the files of `integrity.json`, unchanged."""
    try:
        expected = json.loads((folder / INTEGRITY_FILE).read_text(encoding="utf-8"))
        names = set(expected)
    except FileNotFoundError:
        raise IntegrityError(f"{INTEGRITY_FILE} is missing: build the archive again") from None
    except (ValueError, TypeError):
        raise IntegrityError(f"{INTEGRITY_FILE} is damaged: build the archive again") from None
    present = _files(folder)
    changed = [name for name in names & present if sha256(folder / name) != expected[name]]
    findings = {"missing": names - present, "not from this archive": present - names, "damaged": changed}
    told = [f"{finding}: {', '.join(sorted(found))}" for finding, found in findings.items() if found]
    if told:
        raise IntegrityError(f"the archive's files are not the ones it was built with ({'; '.join(told)})")


def sha256(path: Path) -> str:
    """The hexadecimal digest of a file, of which no more than a part is in memory: weights may be large."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(PART):
            digest.update(part)
    return digest.hexdigest()


def _files(folder: Path) -> set[str]:
    # Python writes its bytecode beside the code that it imports.
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__" and path != folder / INTEGRITY_FILE
    }
