"""Test the environment of a started server, and a start whose output nobody reads."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from archives.__main__ import _parser
from archives.serving import start, stop
from archives.serving.record import Server
from tests.support.mini_archive import write_archive
from tests.support.recorded import new_server


@pytest.mark.parametrize(
    ("cuda_visible_devices", "gpus", "visible", "order"),
    [
        ("1", ["1"], "1", None),
        ("GPU-1a1b-1,GPU-0a0b-0", ["1", "0"], "1,0", "PCI_BUS_ID"),
        ("1", [], "-1", None),
    ],
)
def test_torchserve_numbers_gpus_in_the_order_in_which_they_were_counted(
    cuda_visible_devices: str,
    gpus: list[str],
    visible: str,
    order: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", cuda_visible_devices)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    (tmp_path / "logs").mkdir()
    assert start._launch(["env"], tmp_path, gpus).wait() == 0
    printed = (tmp_path / "logs" / "console.log").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in printed if "=" in line)
    assert (environment["CUDA_VISIBLE_DEVICES"], environment.get("CUDA_DEVICE_ORDER")) == (visible, order)


def test_a_start_whose_output_is_closed_leaves_no_server_behind(
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
    monkeypatch.setattr(start, "start", lambda *_, **__: (started, subprocess.Popen(["true"])))
    monkeypatch.setattr(stop, "stop", lambda server, **_: stopped.append(server))
    monkeypatch.setattr(sys, "stdout", Unread())
    monkeypatch.setattr(sys, "argv", ["archives", "serve", f"--store={tmp_path}", f"--servers={tmp_path}", "--port=0"])
    arguments = _parser().parse_args()
    with pytest.raises(BrokenPipeError):
        arguments.command(arguments)
    assert stopped == [started]
