from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

from archives.serving import logs
from tests.support.mini_archive import write_archive


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


def unread(*arguments: str) -> tuple[int, str]:
    """The exit code and the errors of a command whose output nobody reads."""
    reader, output = os.pipe()
    os.close(reader)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "archives", *arguments]
    ended = subprocess.run(command, check=False, stdout=output, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(output)
    return ended.returncode, ended.stderr


def test_logs_end_where_nobody_reads_them(tmp_path: Path) -> None:
    (tmp_path / "8080" / "logs").mkdir(parents=True)
    (tmp_path / "8080" / "logs" / "server.log").write_text("1\n")
    assert unread("logs", f"--servers={tmp_path}") == (0, "")


def test_other_commands_say_that_nobody_reads_their_output(tmp_path: Path) -> None:
    write_archive(tmp_path, "echo")
    told = (1, "error: nobody reads the output any more\n")
    assert unread("serve", f"--servers={tmp_path}", f"--store={tmp_path}") == told
    assert unread("status", f"--servers={tmp_path}") == told
