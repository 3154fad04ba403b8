"""Write an nvidia-smi that lists GPUs where there are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def write_smi(folder: Path, *, gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put it first on PATH, with all its GPUs visible. The UUID of GPU 1 is `GPU-1a1b-1`."""
    smi = folder / "nvidia-smi"
    uuids = "".join(f"echo {i}, GPU-{i}a{i}b-{i}\n" for i in range(gpus))
    for_torchserve = "".join(f"echo {line}\n" for line in ("index", *range(gpus)))
    smi.write_text(f"#!/bin/sh\nif [ $1 = --query-gpu=index ]\nthen {for_torchserve}else {uuids}fi\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
