"""Test which part of a server's logs is shown and which failures are recognised in them."""

from __future__ import annotations

import itertools
from pathlib import Path

from archives.serving import diagnosis


def write_log(logs: Path, lines: list[str]) -> None:
    text = [f"2024-01-01T10:00:00,000 INFO  W-{9000 + i % 2}-m_1.0-stdout - {line}" for i, line in enumerate(lines)]
    (logs / "workers.log").write_text("\n".join(text))


def test_no_failure_in_a_quiet_log(tmp_path: Path) -> None:
    write_log(tmp_path, ["Torch worker started.", "Torch worker started."])
    assert diagnosis.worker_failure(tmp_path) is None
    assert diagnosis.worker_failure(tmp_path / "absent") is None


def test_the_real_import_error_is_reported_although_two_workers_write_in_turns(tmp_path: Path) -> None:
    traceback = [
        "Backend worker process died.",
        "Traceback (most recent call last):",
        '  File "handler.py", line 3, in <module>',
        "ModuleNotFoundError: No module named 'absent'",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        '  File "model_loader.py", line 1, in load',
        "ModuleNotFoundError: No module named 'ts.torch_handler.handler'",
    ]
    write_log(tmp_path, [line for line in traceback for _ in range(2)])
    failure = diagnosis.worker_failure(tmp_path)
    assert failure is not None
    assert failure.splitlines() == ["ModuleNotFoundError: No module named 'absent'", traceback[2]]


def test_the_last_exception_of_a_chain_is_reported_with_all_its_lines(tmp_path: Path) -> None:
    lines = [
        "Failed to load model m, exception damaged",
        "Traceback (most recent call last):",
        "  File a",
        "KeyError: 1",
    ]
    lines += ["The above exception was the direct cause of the following exception:"]
    lines += ["Traceback (most recent call last):", "  File b", "ValueError: damaged", "second line of it"]
    lines += ["Backend worker process died.", "Traceback (most recent call last):", "  File c", "RuntimeError: 500"]
    write_log(tmp_path, [line for line in lines for _ in range(2)])
    assert diagnosis.worker_failure(tmp_path) == "ValueError: damaged\nsecond line of it\n  File b"


def test_the_end_of_each_file_is_shown(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text("1\n2\n3\n")
    (tmp_path / "workers.log").write_text("4\n")
    assert list(diagnosis.tail(tmp_path, 2)) == ["server: 2", "server: 3", "workers: 4"]
    assert list(diagnosis.tail(tmp_path, 0)) == []


def test_appended_lines_are_followed_across_a_log_rotation(tmp_path: Path) -> None:
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

    assert list(diagnosis.follow(tmp_path, stopping)) == ["server: new", "server: half of a line", "server: rolled"]
