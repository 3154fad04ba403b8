from __future__ import annotations

import os
from pathlib import Path

import pytest

from archives.serving import hardware


def test_the_smallest_quota_of_the_nested_groups_counts(tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000\n")
    (tmp_path / "outer" / "cpu.max").write_text("150000 100000\n")
    membership = tmp_path / "cgroup"
    membership.write_text("0::/outer/inner\n")
    assert hardware.cpu_quota(tmp_path, membership) == 1.5


def test_version_one_quotas_are_read_too(tmp_path: Path) -> None:
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
