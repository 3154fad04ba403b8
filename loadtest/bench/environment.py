"""Describes the machine of a measurement: metrics of different machines cannot be compared."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torchserve", "torch", "onnxruntime", "tokenizers", "numpy")


def environment() -> dict[str, Any]:
    """Return processor, system, versions, and how busy the machine was before (load average of the last minute)."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {package: metadata.version(package) for package in PACKAGES},
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def machine(environment: Mapping[str, Any]) -> str:
    """Describe the environment in a line."""
    versions = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    return f"{environment['processor']}, {environment['cores']} cores; {versions}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
