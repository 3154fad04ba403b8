"""Keep rows and their tokens on disk under the name of what they were made from, and map them into memory."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import datasets
import tokenizers
from datasets import Dataset, Features
from datasets.arrow_reader import ArrowReader
from datasets.arrow_writer import ArrowWriter

import archives.reading

Batch = dict[str, list[Any]]

BATCH = 1000  # rows written at once
# What rows are read with: a change of this code reads them anew.
CODE = (Path(__file__).parent, Path(archives.reading.__file__).parent)


def digest(path: Path) -> str:
    """Return the sha256 of a file's content."""
    content = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            content.update(block)
    return content.hexdigest()


def cached_rows(kind: str, source: str, rows: Iterable[Sequence[Any]], columns: Features) -> Dataset:
    """Return `rows` with these columns, in their order.

    They are drawn from only where none of this `kind` are kept of this `source` and this code.
    """
    code = b"".join(path.read_bytes() for folder in CODE for path in sorted(folder.rglob("*.py")))
    name = hashlib.sha256(source.encode() + code).hexdigest()
    path = _folder(kind) / f"{name}.arrow"
    if not path.exists():
        _write(path, rows, columns)
    return Dataset(ArrowReader.read_table(str(path), in_memory=False), fingerprint=name[:16])


def cached_tokens(
    rows: Dataset,
    encode: Callable[[Batch], Batch],
    encoder: object,
    settings: list[Any],
    features: Features | None = None,
    batch_size: int = 1000,
) -> Dataset:
    """Return `encode` of batches of `rows`; a batch may become more or fewer rows.

    Args:
        settings: all that the result depends on beside the rows and the code of `encode` and of the `encoder` that it
            uses: the files that define them. By default, the name would depend on the time of the file that the rows
            came from, and on the tokenizer object, which has no stable hash.
    """
    code = [Path(inspect.getfile(part)).read_text(encoding="utf-8") for part in (encode, type(encoder))]
    content = hashlib.sha256(json.dumps([*settings, *code, tokenizers.__version__]).encode())
    for batch in rows.iter(BATCH):
        content.update(json.dumps(batch).encode())
    name = content.hexdigest()
    return rows.map(
        encode,
        batched=True,
        batch_size=batch_size,
        remove_columns=rows.column_names,
        features=features,
        new_fingerprint=name[:16],
        cache_file_name=str(_folder("tokenised") / f"{name}.arrow"),
    )


def fingerprints(splits: Mapping[str, Dataset]) -> list[str]:
    """Return a name for each tokenized split that depends on its rows and settings only, not on the process."""
    return [rows._fingerprint for rows in splits.values()]


def _folder(kind: str) -> Path:
    folder = Path(datasets.config.HF_DATASETS_CACHE) / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(path: Path, rows: Iterable[Sequence[Any]], columns: Features) -> None:
    """Write the file whole or not at all: several processes may read the same one at once."""
    with NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
        partial = Path(file.name)
    remaining = iter(rows)
    try:
        with ArrowWriter(features=columns, path=str(partial)) as writer:
            while batch := list(islice(remaining, BATCH)):
                writer.write_batch(dict(zip(columns, map(list, zip(*batch, strict=True)), strict=True)))
            writer.finalize()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
