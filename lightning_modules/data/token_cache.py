"""Tokenised rows, made once: kept on disk under the name of their content, and memory-mapped."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets
import tokenizers
from datasets import Dataset, Features

Batch = dict[str, list[Any]]


def cached_rows(
    rows: Dataset,
    encode: Callable[[Batch], Batch],
    encoder: object,
    settings: list[Any],
    features: Features | None = None,
    batch_size: int = 1000,
) -> Dataset:
    """`encode` of batches of `rows`; a batch may become more or fewer rows.

    `settings` are all that the result depends on beside the rows and the code of `encode` and of the `encoder` that it
    uses: the files that define them. By default, the name would depend on the time of the file that the rows came from,
    and on the tokenizer object, which has no stable hash.
    """
    code = [Path(inspect.getfile(part)).read_text(encoding="utf-8") for part in (encode, type(encoder))]
    name = _digest(rows, [*settings, *code, tokenizers.__version__])
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "tokenised"
    folder.mkdir(parents=True, exist_ok=True)
    return rows.map(
        encode,
        batched=True,
        batch_size=batch_size,
        remove_columns=rows.column_names,
        features=features,
        new_fingerprint=name[:16],
        cache_file_name=str(folder / f"{name}.arrow"),
    )


def fingerprints(parts: Mapping[str, Dataset]) -> list[str]:
    """Names of the content of tokenised parts: the same in every process, and others for other rows or settings."""
    return [rows._fingerprint for rows in parts.values()]


def _digest(rows: Dataset, settings: list[Any]) -> str:
    digest = hashlib.sha256(json.dumps(settings).encode())
    for batch in rows.iter(1000):
        digest.update(json.dumps(batch).encode())
    return digest.hexdigest()
