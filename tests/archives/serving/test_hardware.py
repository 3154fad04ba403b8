from __future__ import annotations

import os
from pathlib import Path

import pytest

from archives.serving import hardware
from tests.support.fake_smi import write_smi


def test_the_smallest_quota_of_the_nested_groups_counts(tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000\n")
    (tmp_path / "outer" / "cpu.max").write_text("150000 100000\n")
    membership = tmp_path / "cgroup"
    membership.write_text("0::/outer/inner\n")
    assert hardware.cpu_quota(tmp_path, membership) == 1.5


def test_quotas_of_cgroup_version_one_are_read_too(tmp_path: Path) -> None:
    cpu = tmp_path / "cpu"
    cpu.mkdir()
    (cpu / "cpu.cfs_period_us").write_text("100000\n")
    (cpu / "cpu.cfs_quota_us").write_text("-1\n")
    assert hardware.cpu_quota(tmp_path, tmp_path / "absent") is None
    (cpu / "cpu.cfs_quota_us").write_text("50000\n")
    assert hardware.cpu_quota(tmp_path, tmp_path / "absent") == 0.5


def test_cores_are_cut_to_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "cpu_quota", lambda: 0.5)
    assert hardware.usable_cores() == 1
    monkeypatch.setattr(hardware, "cpu_quota", lambda: 10_000.0)
    assert 1 <= hardware.usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("visible", "numbers"),
    [
        (None, "0 1 2"),
        ("2,0", "2 0"),
        ("2, 0", "2 0"),
        ("0,1,2,3", "0 1 2"),
        ("GPU-1a1b-1,GPU-2", "1 2"),
        ("GPU-", ""),  # which of them?
        ("MIG-1a1b-1", ""),
        ("NoDevFiles", ""),
        ("", ""),
        ("-1", ""),
    ],
)
def test_only_gpus_that_nvidia_smi_lists_and_cuda_shows_are_counted(
    visible: str | None, numbers: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_smi(tmp_path, gpus=3, monkeypatch=monkeypatch)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert hardware.visible_gpus() == numbers.split()


def test_an_nvidia_smi_that_fails_or_is_missing_means_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_smi(tmp_path, gpus=1, monkeypatch=monkeypatch)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho No devices were found\nexit 6\n")
    assert hardware.visible_gpus() == []
    (tmp_path / "nvidia-smi").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hardware.visible_gpus() == []


def test_a_torch_without_cuda_can_use_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_smi(tmp_path, gpus=1, monkeypatch=monkeypatch)
    for version, gpus in (("2.13.0+cpu", []), ("2.13.0+cu130", ["0"]), ("2.13.0", ["0"])):
        monkeypatch.setattr(hardware.metadata, "version", lambda name, version=version: version)
        assert hardware.usable_gpus() == gpus
