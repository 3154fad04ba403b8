"""Generated files, written only where their content is another."""

import os
from pathlib import Path


def write_if_changed(path: Path, text: str) -> None:
    """Writes UTF-8 in one step; an equal file keeps its time stamp."""
    content = text.encode()
    if path.is_file() and path.read_bytes() == content:
        return
    # Every process of a training on several devices comes here: none may read what another has half written.
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
