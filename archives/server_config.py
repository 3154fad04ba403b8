"""The files a server starts from: its config.properties and the command line of its Java process."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from archives.errors import ServerError
from archives.store import StoredModel

SERVING = Path(__file__).parent.parent / "configs" / "serving"


@dataclass(frozen=True)
class Settings:
    """Where a server listens and what it runs on.

    `workers` is per model; `gpus` is the number of CUDA devices the workers are spread over, 0 for none.
    """

    store: Path
    host: str
    port: int
    management_port: int
    metrics_port: int
    grpc_ports: tuple[int, int]
    workers: int
    gpus: int


def properties(settings: Settings, models: Iterable[StoredModel], serving: Path = SERVING) -> str:
    """The text of the server's config.properties: the bundle's own file, then what this server adds to it."""
    grpc_inference, grpc_management = settings.grpc_ports
    own = {
        "inference_address": f"http://{settings.host}:{settings.port}",
        "management_address": f"http://{settings.host}:{settings.management_port}",
        "metrics_address": f"http://{settings.host}:{settings.metrics_port}",
        "grpc_inference_address": settings.host,
        "grpc_management_address": settings.host,
        "grpc_inference_port": str(grpc_inference),
        "grpc_management_port": str(grpc_management),
        "model_store": str(settings.store),
        "allowed_urls": f"file://{re.escape(str(settings.store))}/[^/]+",
        "number_of_gpu": str(settings.gpus),
        "default_workers_per_model": str(settings.workers),
        "models": json.dumps(_worker_counts(models, settings.workers)),
    }
    metrics = serving / "metrics.yaml"
    if metrics.is_file():
        own["metrics_config"] = str(metrics)
    lines = "".join(f"{key}={_escaped(value)}\n" for key, value in own.items())
    return f"{(serving / 'config.properties').read_text()}\n# This server's own.\n{lines}"


def _worker_counts(models: Iterable[StoredModel], workers: int) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for model in models:
        counts.setdefault(model.name, {})[model.version] = {"minWorkers": workers, "maxWorkers": workers}
    return counts


def _escaped(value: str) -> str:
    """Backslashes start an escape in Java's properties files."""
    return value.replace("\\", "\\\\")


def java_command(java: Path, folder: Path, temporary: Path, models: Iterable[StoredModel]) -> list[str]:
    """The command of TorchServe's frontend, started without its Python launcher.

    The launcher keeps one process number per machine in a shared temporary file, so it allows one server only.
    Source: ts/model_server.py of TorchServe 0.12.0.
    """
    spec = importlib.util.find_spec("ts")
    if spec is None or spec.origin is None:
        raise ServerError("TorchServe is not installed: install the extra 'serve'")
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
        str(folder / "config.properties"),
        "-ncs",
        "-m",
        *(f"{model.name}={model.archive.name}" for model in models),
    ]
