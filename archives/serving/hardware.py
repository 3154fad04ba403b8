"""Count what the workers may use: processor cores within the container's share, and GPUs.

`joblib.cpu_count` would not do for the cores: it reads the quota of the root control group only, not of nested ones.
"""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

SMI_SECONDS = 20
CGROUP_ROOT = Path("/sys/fs/cgroup")
CGROUP_OF_PROCESS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Return the number of cores this process may run on, cut to the CPU quota of its control groups, at least 1."""
    # macOS has no affinity call.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def usable_gpus() -> list[str]:
    """Return the visible GPUs if torch is installed with CUDA; none without."""
    return [] if metadata.version("torch").endswith("+cpu") else visible_gpus()


def visible_gpus() -> list[str]:
    """Return the numbers of the GPUs that nvidia-smi lists; none without nvidia-smi.

    Where CUDA_VISIBLE_DEVICES is set, those that it names, by number or by the beginning of a UUID, in its order.
    """
    command = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=SMI_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    uuids = dict(line.split(", ") for line in result.stdout.splitlines())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return list(uuids)
    numbers = []
    for name in visible.split(","):
        number = _number(name.strip(), uuids)
        if number is None:
            break  # as CUDA does: an empty string and -1 hide all
        numbers.append(number)
    return numbers


def _number(name: str, uuids: Mapping[str, str]) -> str | None:
    """Return the number of the GPU that CUDA calls by this name: a number, or the beginning of one UUID.

    Return None if there is no such GPU, or if the name is that of a part (MIG), which TorchServe cannot address.
    """
    if name in uuids:
        return name
    matches = [number for number, uuid in uuids.items() if name.startswith("GPU-") and uuid.startswith(name)]
    return matches[0] if len(matches) == 1 else None


def cpu_quota(root: Path = CGROUP_ROOT, of_process: Path = CGROUP_OF_PROCESS) -> float | None:
    """Return the smallest CPU quota, in cores, of this process' control groups (v2, else v1); None without one."""
    quotas = [quota for folder in _v2_folders(root, of_process) if (quota := _v2_quota(folder)) is not None]
    if not quotas and (quota := _v1_quota(root / "cpu")) is not None:
        quotas.append(quota)
    return min(quotas, default=None)


def _v2_folders(root: Path, of_process: Path) -> list[Path]:
    """Return the folder of this process' control group and of every group above it."""
    if not of_process.is_file():
        return [root]
    for line in of_process.read_text().splitlines():
        if line.startswith("0::/"):
            group = root / line.removeprefix("0::/")
            return [group, *(parent for parent in group.parents if parent.is_relative_to(root))]
    return [root]


def _v2_quota(folder: Path) -> float | None:
    """Read `cpu.max`: `max 100000`, or `150000 100000` for one and a half cores."""
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
