"""Read and write UTF-8 files: JSON, and text that is replaced only where it differs."""

import json
import os
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON; lone surrogates of users' texts, which UTF-8 cannot encode, become their JSON escapes."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")


def write_if_changed(path: Path, text: str) -> None:
    """Write the text in one step, unless the file holds it already and may keep its time stamp."""
    content = text.encode()
    if path.is_file() and path.read_bytes() == content:
        return
    # Every process of a training on several devices comes here: none may read what another has half written.
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
