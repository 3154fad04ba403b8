from __future__ import annotations

import itertools
from pathlib import Path

from archives.serving import logs


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
