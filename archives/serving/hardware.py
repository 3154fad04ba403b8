"""What the workers may use: processor cores within the container's share, and GPUs."""

from __future__ import annotations

import math
import os
import subprocess
from importlib import metadata
from itertools import takewhile
from pathlib import Path

SMI_SECONDS = 20
CGROUP_ROOT = Path("/sys/fs/cgroup")
CGROUP_OF_PROCESS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Cores this process may run on, cut to the CPU quota of its control groups, at least 1."""
    # macOS has no affinity call.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def usable_gpus() -> int:
    """GPUs, as TorchServe counts them, if torch is installed with CUDA; 0 on any machine without."""
    return 0 if metadata.version("torch").endswith("+cpu") else visible_gpus()


def visible_gpus() -> int:
    """GPUs that nvidia-smi lists, no more than CUDA_VISIBLE_DEVICES names where it is set; 0 without nvidia-smi."""
    # TorchServe's own command.
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=SMI_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    listed = len(result.stdout.split()) - 1  # without the line of the column's name
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    # CUDA stops at the first that is none: an empty string and -1 hide all.
    return listed if named is None else min(listed, len(list(takewhile(str.isdecimal, named.split(",")))))


def cpu_quota(root: Path = CGROUP_ROOT, of_process: Path = CGROUP_OF_PROCESS) -> float | None:
    """The smallest CPU quota, in cores, of this process' control groups (v2, then v1); None without one."""
    quotas = [quota for folder in _v2_folders(root, of_process) if (quota := _v2_quota(folder)) is not None]
    if not quotas and (quota := _v1_quota(root / "cpu")) is not None:
        quotas.append(quota)
    return min(quotas, default=None)


def _v2_folders(root: Path, of_process: Path) -> list[Path]:
    """The folder of this process' group and of every group above it."""
    if not of_process.is_file():
        return [root]
    for line in of_process.read_text().splitlines():
        if line.startswith("0::/"):
            own = root / line.removeprefix("0::/")
            return [own, *(parent for parent in own.parents if parent.is_relative_to(root))]
    return [root]


def _v2_quota(folder: Path) -> float | None:
    """Reads `cpu.max`: `max 100000`, or `150000 100000` for one and a half cores."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except OSError:
        return None
    return None if quota == "max" else int(quota) / int(period)


def _v1_quota(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except OSError:
        return None
    return quota / period if quota > 0 else None
