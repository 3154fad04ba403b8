"""The requests of a load test: a model's own golden ones, or those of a file."""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.errors import LoadTestError
from loadtest.squad import squad_requests

STORE = Path(__file__).parent.parent / "archives" / "store"
# What read_texts reads, for the help of options.
TEXTS = ".json, .jsonl or one text a line, or SQuAD's JSON, gzipped too"


@dataclass(frozen=True)
class Sample:
    """A request, and the answer it must get where that is known: `expected`, or `fp32` from a worker that fell back."""

    request: dict[str, Any]
    expected: dict[str, Any] | None
    fp32: dict[str, Any] | None = None


def read_golden(archive: Path) -> list[Sample]:
    """The golden requests of a `.mar`, with their answers; raises LoadTestError when there are none."""
    golden = _read_member(archive, "golden.json")
    if not golden:
        raise LoadTestError(f"{archive} has no golden requests: give a file of texts with --texts")
    return [Sample(pair["request"], pair["response"], pair.get("fp32")) for pair in golden]


def read_labels(archive: Path) -> list[str] | None:
    """The labels an archive's model knows; None without an archive (of a remote server), or without labels."""
    if not archive.is_file():
        return None
    labels = _read_member(archive, "labels.json")
    return None if labels is None else list(labels["labels"])


def read_texts(path: Path) -> list[Sample]:
    """Requests from a file: `.json` (a list), `.jsonl` (one a line), or one text a line; gzipped too (`.json.gz`).

    An entry of JSON is a text, a request such as `{"text": …}`, or `{"request": …, "response": …}` with its answer,
    as in golden.json.
    SQuAD's official JSON gives some of its questions, see squad.py.

    Raises:
        LoadTestError: the file cannot be read, an entry is none of these, or there are none.
    """
    try:
        entries = _entries(path)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise LoadTestError(f"--texts {path}: {error}") from error
    if not entries:
        raise LoadTestError(f"--texts {path}: the file is empty")
    return [_sample(entry, f"--texts {path}, entry {number}") for number, entry in enumerate(entries, start=1)]


def _read_member(archive: Path, name: str) -> Any:
    try:
        with zipfile.ZipFile(archive) as mar:
            return json.loads(mar.read(name)) if name in mar.namelist() else None
    except FileNotFoundError:
        raise LoadTestError(
            f"no archive {archive}: build it with make archive NAME={archive.stem}, or give a file with --texts"
        ) from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise LoadTestError(f"{archive} is damaged ({error}): build it again with make archive") from error


def _entries(path: Path) -> Sequence[Any]:
    ending, content = path.suffix, path.read_bytes()
    if ending == ".gz":
        ending, content = Path(path.stem).suffix, gzip.decompress(content)
    if ending == ".json":
        return _list(json.loads(content))
    # Not splitlines: texts may hold other line separators of Unicode.
    lines = [line.strip() for line in content.decode().split("\n") if line.strip()]
    return [json.loads(line) for line in lines] if ending == ".jsonl" else lines


def _list(content: Any) -> Sequence[Any]:
    if isinstance(content, dict) and "data" in content:
        return squad_requests(content["data"])
    if not isinstance(content, list):
        raise ValueError(f"expected a list, or SQuAD's official format, got {type(content).__name__}")
    return content


def _sample(entry: Any, where: str) -> Sample:
    if isinstance(entry, str):
        return Sample({"text": entry}, None)
    if not isinstance(entry, dict):
        raise LoadTestError(f"{where}: expected a text or an object, got {type(entry).__name__}")
    if "request" not in entry:
        return Sample(entry, None)
    if not all(isinstance(entry.get(part, {}), dict) for part in ("request", "response", "fp32")):
        raise LoadTestError(f"{where}: request and response have to be objects")
    return Sample(entry["request"], entry.get("response"), entry.get("fp32"))
