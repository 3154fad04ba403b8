from __future__ import annotations

from pathlib import Path

from archives.serving import lifecycle, processes, running
from archives.serving.running import Server


def test_the_record_of_a_dead_server_is_cleaned(tmp_path: Path) -> None:
    """Process 1 always runs, but it is not the process that was recorded: it started at another time."""
    folder = tmp_path / "18080"
    (folder / "tmp").mkdir(parents=True)
    dead = Server(folder, "127.0.0.1", 18080, 18081, 18082, (4, 5), {"echo": "1.0"}, 1, folder / "tmp", 1, 0.0)
    dead.save()
    dead.key_file.write_text("{}")
    said: list[str] = []
    assert not processes.is_alive(dead)
    lifecycle.stop(dead, report=said.append)
    assert "already gone" in said[0]
    assert not running.recorded(tmp_path)
    assert list(folder.iterdir()) == []
