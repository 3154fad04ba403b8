"""Write the sha256 of every file of an unpacked archive when it is built, and check them when it is loaded.

Standard library only: it runs before anything else of the archive is imported.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

INTEGRITY_FILE = "integrity.json"
# Bytes of a file that are in memory at once: weights may be large.
CHUNK = 1 << 20


class IntegrityError(Exception):
    """An archive's files are not the ones it was built with; the message names the files."""


def write_integrity(folder: Path) -> None:
    """Write `integrity.json`: relative path -> sha256 for every other file of the folder."""
    digests = {name: sha256(folder / name) for name in sorted(_files(folder))}
    (folder / INTEGRITY_FILE).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


def check_integrity(folder: Path) -> None:
    """Raise `IntegrityError` unless the folder holds exactly the files of `integrity.json`, unchanged."""
    try:
        expected = json.loads((folder / INTEGRITY_FILE).read_text(encoding="utf-8"))
        names = set(expected)
    except FileNotFoundError:
        raise IntegrityError(f"{INTEGRITY_FILE} is missing: build the archive again") from None
    except (ValueError, TypeError):
        raise IntegrityError(f"{INTEGRITY_FILE} is damaged: build the archive again") from None
    present = _files(folder)
    changed = [name for name in names & present if sha256(folder / name) != expected[name]]
    problems = {"missing": names - present, "not from this archive": present - names, "damaged": changed}
    lines = [f"{problem}: {', '.join(sorted(files))}" for problem, files in problems.items() if files]
    if lines:
        raise IntegrityError(f"the archive's files are not the ones it was built with ({'; '.join(lines)})")


def sha256(path: Path) -> str:
    """Return the hexadecimal digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _files(folder: Path) -> set[str]:
    # Python writes its bytecode beside the code that it imports.
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__" and path != folder / INTEGRITY_FILE
    }
