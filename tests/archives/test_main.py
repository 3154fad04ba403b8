"""Test the commands on a bare machine: no server, no packages, nobody who reads the output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mini_archive import write_archive


def unread(*arguments: str) -> tuple[int, str]:
    """Return the exit code and the error output of a command whose output nobody reads."""
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
    expected = (1, "error: nobody reads the output any more\n")
    assert unread("serve", f"--servers={tmp_path}", f"--store={tmp_path}") == expected
    assert unread("status", f"--servers={tmp_path}") == expected


START = "start one with make serve"
INSTALL = "run make setup, or pip install -c constraints.txt -e '.[serve]'"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["token"], f"no server is running: {START}"),
        (["token", "--port=8081"], f"no server is running on port 8081: {START}"),
        (["predict", "--model=m", "--text=a"], f"no server is running: {START}"),
        (["stop"], f"not installed here: psutil: {INSTALL}"),
        (["serve"], f"not installed here: psutil, ts: {INSTALL}"),
    ],
)
def test_a_bare_python_without_a_server_says_in_one_sentence_what_to_do(
    command: list[str], message: str, tmp_path: Path
) -> None:
    line = [sys.executable, "-S", "-m", "archives", *command, f"--servers={tmp_path}"]
    ended = subprocess.run(line, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"error: {message}\n")
