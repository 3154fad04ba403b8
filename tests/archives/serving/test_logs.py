from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archives.__main__ import main
from archives.serving import logs
from tests.archives.mini_archive import write_archive


def test_the_end_of_each_file_is_shown(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text("1\n2\n3\n")
    (tmp_path / "workers.log").write_text("4\n")
    assert list(logs.tail(tmp_path, 2)) == ["server: 2", "server: 3", "workers: 4"]
    assert list(logs.tail(tmp_path, 0)) == []


def test_appended_lines_are_followed_past_a_roll_over(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("an old and long line\n")
    looks = itertools.count()

    def stopping() -> bool:
        match next(looks):
            case 0:
                log.write_text("an old and long line\nnew\nhalf")
            case 1:
                log.write_text("an old and long line\nnew\nhalf of a line\n")
            case 2:
                log.write_text("rolled\n")
            case 3:
                return True
        return False

    assert list(logs.follow(tmp_path, stopping)) == ["server: new", "server: half of a line", "server: rolled"]


def test_a_pipe_that_nobody_reads_is_the_end_of_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(logs, "tail", broken)
    (tmp_path / "8080" / "logs").mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["archives", "logs", f"--servers={tmp_path}"])
    assert main() == 0


def test_a_pipe_that_nobody_reads_is_an_error_of_a_start(tmp_path: Path) -> None:
    write_archive(tmp_path, "echo")
    unread, output = os.pipe()
    os.close(unread)
    command = [sys.executable, "-m", "archives", "serve", f"--servers={tmp_path}", f"--store={tmp_path}"]
    started = subprocess.run(command, check=False, stdout=output, stderr=subprocess.PIPE, text=True)
    os.close(output)
    assert (started.returncode, started.stderr) == (1, "error: nobody reads the output any more\n")
