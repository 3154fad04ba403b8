"""Finding the local server and its key."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.errors import LoadTestError
from loadtest.target import Target, find_target


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    """Two ports that accept connections."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield sockets
    for listener in sockets:
        listener.close()


def record(servers: Path, port: int, key: str = "secret") -> None:
    """What `python -m archives serve` leaves in a server's folder."""
    folder = servers / str(port)
    folder.mkdir(parents=True)
    (folder / "server.json").write_text(
        json.dumps({"port": port, "urls": {"inference": f"http://127.0.0.1:{port}"}, "pid": 1})
    )
    (folder / "key_file.json").write_text(json.dumps({"inference": {"key": key}, "management": {"key": "other"}}))


def test_the_only_running_server_is_found(tmp_path: Path, listeners: list[socket.socket]) -> None:
    port = listeners[0].getsockname()[1]
    record(tmp_path, port)
    target = find_target(servers=tmp_path)
    assert target == Target(f"http://127.0.0.1:{port}", "secret") == find_target(port, tmp_path)
    assert target.headers["Authorization"] == "Bearer secret"


def test_records_of_servers_that_are_gone_or_half_written_do_not_count(
    tmp_path: Path, listeners: list[socket.socket]
) -> None:
    gone, running = (listener.getsockname()[1] for listener in listeners)
    listeners[0].close()
    record(tmp_path, gone)
    record(tmp_path, running)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "server.json").write_text('{"port"')
    assert find_target(servers=tmp_path).url.endswith(str(running))
    with pytest.raises(LoadTestError, match=f"no server is running on port {gone}"):
        find_target(gone, tmp_path)


def test_of_several_servers_one_has_to_be_chosen(tmp_path: Path, listeners: list[socket.socket]) -> None:
    first, second = sorted(listener.getsockname()[1] for listener in listeners)
    record(tmp_path, first, "one")
    record(tmp_path, second, "two")
    with pytest.raises(LoadTestError, match=f"{first}, {second}: choose one with --port"):
        find_target(servers=tmp_path)
    assert find_target(second, tmp_path).token == "two"


def test_without_a_server_the_way_to_start_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match="make serve"):
        find_target(servers=tmp_path / "none")


def test_a_key_that_cannot_be_read_is_told(tmp_path: Path, listeners: list[socket.socket]) -> None:
    port = listeners[0].getsockname()[1]
    record(tmp_path, port)
    (tmp_path / str(port) / "key_file.json").unlink()
    with pytest.raises(LoadTestError, match="cannot read the key"):
        find_target(port, tmp_path)


def test_a_server_without_keys_gets_no_header() -> None:
    assert "Authorization" not in Target("http://localhost", None).headers
