"""Serving profiles: how many requests make a batch and how long a worker waits for them, by task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

PROFILES = Path(__file__).parents[2] / "configs" / "serving" / "profiles.yaml"
NAMES = ("latency", "balanced", "throughput")
DEFAULT = "balanced"


def read(name: str) -> Mapping[str | None, Mapping[str, int]]:
    """TorchServe's `batchSize` and `maxBatchDelay` of each task."""
    content: Mapping[str, Mapping[str | None, Mapping[str, int]]] = yaml.safe_load(PROFILES.read_text(encoding="utf-8"))
    return content[name]
