"""Rows of texts or questions in a file that is mapped into memory, named by what they were made from."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import datasets
from datasets import Dataset, Features
from datasets.arrow_reader import ArrowReader
from datasets.arrow_writer import ArrowWriter


def digest(path: Path) -> str:
    """sha256 of a file's content."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


def cached(kind: str, source: str, rows: Iterable[dict[str, Any]], columns: Features) -> Dataset:
    """`rows`, drawn from only where none of this `kind` are kept of this `source` and this folder's code."""
    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py")))
    name = hashlib.sha256(source.encode() + code).hexdigest()
    folder = Path(datasets.config.HF_DATASETS_CACHE) / kind
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.arrow"
    if not path.exists():
        _write(path, rows, columns)
    return Dataset(ArrowReader.read_table(str(path), in_memory=False), fingerprint=name[:16])


def _write(path: Path, rows: Iterable[dict[str, Any]], columns: Features) -> None:
    """Whole or not at all: several processes may read the same file at once."""
    with NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
        partial = Path(file.name)
    try:
        with ArrowWriter(features=columns, path=str(partial)) as writer:
            for row in rows:
                writer.write(row)
            writer.finalize()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
