"""Starts servers for a measurement through `python -m archives`, on free ports, and stops them after it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from archives.serving import record
from loadtest.errors import LoadTestError
from loadtest.target import Target, find_target

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Served:
    """A running server; `pid` is that of its Java process, `workers` are those of one model."""

    target: Target
    pid: int
    workers: int

    def worker_memory(self) -> dict[str, float]:
        """Return MiB of the largest worker: all its pages (rss), and shared ones counted in part (pss, on Linux)."""
        return {kind: max(sizes) for kind, sizes in self._memory().items()}

    def all_workers_memory(self) -> dict[str, float]:
        """Return the number of all models' workers and their MiB together; a shared page counts once in pss."""
        memory = self._memory()
        return {"workers": len(memory["rss"])} | {kind: round(sum(sizes), 1) for kind, sizes in memory.items()}

    def _memory(self) -> dict[str, list[float]]:
        """Return MiB by kind, one entry a worker."""
        try:
            children = psutil.Process(self.pid).children(recursive=True)
            workers = [child for child in children if any("model_service_worker" in part for part in child.cmdline())]
            sizes = [worker.memory_full_info()._asdict() for worker in workers]
        except psutil.NoSuchProcess as error:
            raise LoadTestError(f"a process of the server ended while it was measured: {error}") from error
        if not sizes:
            raise LoadTestError("the server has no worker any more: see its logs")
        kinds = [kind for kind in ("rss", "pss") if kind in sizes[0]]
        return {kind: [round(size[kind] / MEBIBYTE, 1) for size in sizes] for kind in kinds}


@contextlib.contextmanager
def serving(
    store: Path, models: list[str], folder: Path, *, workers: str = "auto", profile: str = "balanced"
) -> Iterator[Served]:
    """Serve models for the length of a `with`, with `workers` for each; the server's files are in `folder`.

    Raises:
        LoadTestError: it did not start.
    """
    options = ["--store", str(store), "--device", "cpu", "--workers", workers, "--port", "0", "--profile", profile]
    _archives("serve", "--models", *models, "--servers", str(folder), *options)
    try:
        (server,) = record.recorded(folder)
        yield Served(find_target(servers=folder), server.pid, server.workers)
    finally:
        _archives("stop", "--servers", str(folder))


def _archives(*arguments: str) -> None:
    command = [sys.executable, "-m", "archives", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, errors = process.communicate()
        except BaseException:
            process.terminate()  # not killed: it ends what it has started
            process.wait()
            raise
    if process.returncode:
        raise LoadTestError(f"python -m archives {arguments[0]} failed: {errors.strip()}")
