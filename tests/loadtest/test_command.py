"""Test the messages and exit codes of the commands when there is nothing to measure."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadtest.bench import server
from loadtest.errors import exit_code, verdict


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )


def without(package: str, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module in an environment without `package`."""
    code = f"import runpy, sys; sys.modules[{package!r}] = None; runpy.run_module({module!r}, run_name='__main__')"
    return python("-c", code, *arguments)


@pytest.mark.parametrize(
    ("package", "module", "options"),
    [("locust", "loadtest", ["--model", "m"]), ("matplotlib", "loadtest.bench", ["--models", "m"])],
)
def test_a_missing_package_is_one_line_naming_its_extra(package: str, module: str, options: list[str]) -> None:
    result = without(package, module, *options)
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"error: not installed here: {package}: run make setup, or pip install -c constraints.txt -e '.[loadtest]'"
    ]


def test_a_missing_server_is_reported_in_one_line(tmp_path: Path) -> None:
    result = python("-m", "loadtest", "--model", "m", "--servers", str(tmp_path))
    assert result.returncode == 2
    assert result.stderr.startswith("error: no server is running")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--users", "0"], "--users"),
        (["--max-failures", "5"], "expected a share from 0 to 1"),
        (["--p99", "-1"], "expected a number above 0"),
        (["--processes", "2", "--worker"], "leave --master and --worker out"),
        (["--token", "k"], "give its --url too"),
        (["--rate", "5", "--worker"], "give each machine its part of the rate"),
        (["--model", "m", "m=2"], "names a model twice"),
        (["--model", "m=0", "n"], "--model m=0: expected a number above 0"),
        (["--shape", "round"], "--shape"),
    ],
)
def test_wrong_options_are_named(options: list[str], message: str) -> None:
    result = python("-m", "loadtest", "--model", "m", *options)
    assert result.returncode == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("slo.__main__", ["--model", "m", "--p99", "1s", "--processes", "0"]),
        ("bench.__main__", ["--models", "m", "--clients", "0"]),
        ("bench.__main__", ["--models", "m", "--repeats", "0"]),
        ("bench.__main__", ["--models", "m", "--sweep", "models", "--values", "0"]),
        ("bench.__main__", ["--models", "m", "--sweep", "contexts", "--seconds", "0"]),
    ],
)
def test_a_measurement_of_nothing_is_refused(
    module: str, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [module, *options])
    with pytest.raises(SystemExit):
        import_module(f"loadtest.{module}").main()
    assert f"argument {options[-2]}: 0: expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sweep", "workers", "--clients", "4"], "--clients is for the comparison of servers"),
        (["--values", "4"], "--values are those of a --sweep"),
    ],
)
def test_options_of_a_sweep_and_of_the_comparison_do_not_mix(
    options: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "--models", "m", *options])
    with pytest.raises(SystemExit):
        import_module("loadtest.bench.__main__").main()
    assert message in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("hello\n")
    texts = ["--texts", str(tmp_path / "texts.txt"), "--store", str(tmp_path)]
    result = python("-m", "loadtest", "--model", "m", *_url("loadtest"), *texts, "--out", str(tmp_path / "texts.txt"))
    assert result.returncode == 2
    assert result.stderr == f"error: [Errno 17] File exists: '{tmp_path / 'texts.txt'}'\n"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenProcessPool("a process ended")])
def test_an_error_of_the_machine_is_not_a_missed_limit(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def failing() -> int:
        raise error

    assert exit_code(failing) == 2
    assert capsys.readouterr().err == f"error: {error}\n"


def test_a_busy_generator_counts_before_wrong_answers() -> None:
    assert [verdict(["busy"], 1), verdict([], 1), verdict([], 0)] == [3, 1, 0]


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    for module, option in (("loadtest.bench", "--models"), ("loadtest", "--model")):
        result = python("-m", module, option, "nobody", "--store", str(tmp_path), *(_url(module)))
        assert result.returncode == 2
        assert "nobody.mar" in result.stderr


def _url(module: str) -> list[str]:
    return ["--url", "http://127.0.0.1:9"] if module == "loadtest" else []


def test_term_ends_a_command_as_ctrl_c_does_so_that_its_servers_stop() -> None:
    code = """
import sys, time
from loadtest.errors import exit_code

def run():
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("stopped")

sys.exit(exit_code(run))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "begun\n"
        run.terminate()
        assert run.communicate(timeout=30) == ("stopped\n", "interrupted\n")
        assert run.returncode == 130


def test_an_interrupt_while_a_server_starts_lets_it_stop_its_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "python"
    script.write_text(
        f"#!/bin/sh\ntrap 'touch {tmp_path}/cleaned; exit' TERM\ntouch {tmp_path}/begun\nsleep 60 & wait\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(server, "sys", SimpleNamespace(executable=str(script)))

    def interrupted(process: subprocess.Popen[str]) -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt), server.serving(tmp_path, ["m"], tmp_path / "servers"):
        pass
    assert (tmp_path / "cleaned").exists()
