from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path

import psutil
import pytest
import yaml

from archives.__main__ import _parser
from archives.build import MODEL_CONFIGS
from archives.serving import lifecycle, processes, record
from archives.serving.record import Server
from handlers.entry import SHARE_OF_TIMEOUT
from tests.support.mini_archive import write_archive
from tests.support.recorded import new_server, process_of


def test_the_record_of_a_dead_server_is_cleaned(tmp_path: Path) -> None:
    folder = tmp_path / "18080"
    (folder / "tmp").mkdir(parents=True)
    dead = new_server(folder)
    dead.save()
    dead.key_file.write_text("{}")
    said: list[str] = []
    assert not processes.is_alive(dead)
    lifecycle.stop(dead, report=said.append)
    assert "already gone" in said[0]
    assert not record.recorded(tmp_path)
    assert list(folder.iterdir()) == []


def test_a_server_lives_as_long_as_its_process_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with process_of(tmp_path) as pid:
        server = new_server(tmp_path, pid=pid)
        assert processes.is_alive(server)
        monkeypatch.setattr(psutil.Process, "create_time", lambda process: 0.0)
        assert processes.is_alive(server)
        assert not processes.is_alive(new_server(tmp_path / "another", pid=pid))
    assert not processes.is_alive(server)


def test_a_stop_waits_as_long_as_a_batch_may_take() -> None:
    timeouts = [yaml.safe_load(path.read_text())["responseTimeout"] for path in MODEL_CONFIGS.glob("*.yaml")]
    assert SHARE_OF_TIMEOUT * max(timeouts) < record.DRAIN_SECONDS


@pytest.mark.parametrize(
    ("named", "gpus", "visible", "order"),
    [
        ("1", ["1"], "1", None),
        ("GPU-1a1b-1,GPU-0a0b-0", ["1", "0"], "1,0", "PCI_BUS_ID"),
        ("1", [], "-1", None),
    ],
)
def test_torchserve_gets_numbers_of_gpus_in_the_order_that_they_were_counted_in(
    named: str, gpus: list[str], visible: str, order: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    (tmp_path / "logs").mkdir()
    assert lifecycle._launch(["env"], tmp_path, gpus).wait() == 0
    printed = (tmp_path / "logs" / "console.log").read_text().splitlines()
    given = dict(line.split("=", 1) for line in printed if "=" in line)
    assert (given["CUDA_VISIBLE_DEVICES"], given.get("CUDA_DEVICE_ORDER")) == (visible, order)


def test_of_a_start_that_nobody_reads_any_more_no_server_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unread(StringIO):
        def write(self, text: str) -> int:
            if "ready" in text:
                raise BrokenPipeError
            return len(text)

    write_archive(tmp_path, "echo")
    stopped: list[Server] = []
    started = new_server(tmp_path)
    monkeypatch.setattr(lifecycle, "start", lambda *_, **__: (started, subprocess.Popen(["true"])))
    monkeypatch.setattr(lifecycle, "stop", lambda server, **_: stopped.append(server))
    monkeypatch.setattr(sys, "stdout", Unread())
    monkeypatch.setattr(sys, "argv", ["archives", "serve", f"--store={tmp_path}", f"--servers={tmp_path}", "--port=0"])
    arguments = _parser().parse_args()
    with pytest.raises(BrokenPipeError):
        arguments.command(arguments)
    assert stopped == [started]
