"""Servers started for a measurement through `python -m archives`, on free ports, and stopped after it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadtest.errors import LoadTestError
from loadtest.target import Target, find_target

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Served:
    """A running server of one model; `pid` is that of its Java process."""

    target: Target
    pid: int
    workers: int

    def worker_memory(self) -> dict[str, float]:
        """Of the largest worker, in MiB: all its pages (rss), and with shared ones counted in part (pss, on Linux)."""
        children = psutil.Process(self.pid).children(recursive=True)
        workers = [child for child in children if any("model_service_worker" in part for part in child.cmdline())]
        memory = [worker.memory_full_info() for worker in workers]
        largest = {"rss": max(info.rss for info in memory)}
        if hasattr(memory[0], "pss"):
            largest["pss"] = max(info.pss for info in memory)
        return {kind: round(size / MEBIBYTE, 1) for kind, size in largest.items()}


@contextlib.contextmanager
def serving(
    store: Path, model: str, folder: Path, *, workers: str = "auto", profile: str = "balanced"
) -> Iterator[Served]:
    """A server of one model for the length of a `with`; its files are in `folder`. Raises LoadTestError."""
    options = ["--store", str(store), "--device", "cpu", "--workers", workers, "--port", "0"]
    options += ["--profile", profile]
    _archives("serve", "--models", model, "--servers", str(folder), *options)
    try:
        (path,) = folder.glob("*/server.json")
        record = json.loads(path.read_text())
        yield Served(find_target(servers=folder), record["pid"], record["workers"])
    finally:
        _archives("stop", "--servers", str(folder))


def _archives(*arguments: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "archives", *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    if result.returncode:
        raise LoadTestError(f"python -m archives {arguments[0]} failed: {result.stderr.strip()}")
