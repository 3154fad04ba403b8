"""JSON files as a run leaves them."""

import json
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:
    """Lone surrogates in users' texts cannot be encoded; written as their JSON escape they can."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")
