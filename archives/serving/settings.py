"""Compose the config.properties of a server: the bundle's own file, followed by this server's values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from archives.serving import ports
from archives.store import StoredModel

SERVING = Path(__file__).parents[2] / "configs" / "serving"
PROFILES = ("latency", "balanced", "throughput")
DEFAULT_PROFILE = "balanced"
# Time that a stop waits for requests in flight, in seconds. A batch may take 30, a quarter (handlers/entry.py) of
# responseTimeout (configs/serving/models/).
DRAIN_SECONDS = 40.0


@dataclass(frozen=True)
class Settings:
    """Addresses, workers and batching of a server.

    `workers` is the number for each model; `profile` is a name in configs/serving/profiles.yaml. TorchServe assigns
    `gpus`, numbered as by nvidia-smi, to the workers in turn; if there are none, all workers run on the CPU.
    """

    store: Path
    host: str
    port: int
    management_port: int
    metrics_port: int
    grpc_ports: tuple[int, int]
    workers: int
    profile: str = DEFAULT_PROFILE
    gpus: Sequence[str] = ()


def properties(settings: Settings, models: Iterable[StoredModel]) -> str:
    """Return the text of the server's config.properties."""
    grpc_inference, grpc_management = settings.grpc_ports
    of_server = {
        "inference_address": ports.url(settings.host, settings.port),
        "management_address": ports.url(settings.host, settings.management_port),
        "metrics_address": ports.url(settings.host, settings.metrics_port),
        # gRPC cannot be switched off; the bundle does not use it.
        "grpc_inference_address": ports.LOOPBACK,
        "grpc_management_address": ports.LOOPBACK,
        "grpc_inference_port": str(grpc_inference),
        "grpc_management_port": str(grpc_management),
        "model_store": str(settings.store),
        # No `%`: TorchServe decodes it after this check.
        "allowed_urls": rf"file://{re.escape(str(settings.store))}/[\w.-]+\.mar",
        "metrics_config": str(SERVING / "metrics.yaml"),
        "number_of_gpu": str(len(settings.gpus)),
        "default_workers_per_model": str(settings.workers),
        "models": json.dumps(_workers_and_batches(models, settings)),
    }
    lines = "".join(f"{key}={_escaped(value)}\n" for key, value in of_server.items())
    return f"{(SERVING / 'config.properties').read_text(encoding='utf-8')}\n# This server's own.\n{lines}"


def _workers_and_batches(
    models: Iterable[StoredModel], settings: Settings
) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
    workers = {"minWorkers": settings.workers, "maxWorkers": settings.workers}
    by_task = read_profile(settings.profile)
    return {model.name: {model.version: {**workers, **by_task.get(model.task, {})}} for model in models}


def _escaped(value: str) -> str:
    """Escape a value for Java, which reads a properties file as Latin-1.

    A backslash starts an escape there, and `\\u0041` is a unit of UTF-16.
    """
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    codes = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)


def read_profile(name: str) -> Mapping[str | None, Mapping[str, int]]:
    """Return TorchServe's `batchSize` and `maxBatchDelay` (ms) of each task, by a name of `PROFILES`."""
    import yaml  # not at the top: commands that only find the server and its key work without it

    content: Mapping[str, Mapping[str | None, Mapping[str, int]]]
    content = yaml.safe_load((SERVING / "profiles.yaml").read_text(encoding="utf-8"))
    return content[name]
