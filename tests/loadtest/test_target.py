"""Test how the local server and its key are located."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadtest.errors import LoadTestError
from loadtest.target import Target, find_target, local_server
from tests.support.recorded import new_server, process_of


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    """Open two ports that accept connections."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield sockets
    for listener in sockets:
        listener.close()


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Write the files of `python -m archives serve` in a server's folder below `tmp_path`, while a process runs."""
    with contextlib.ExitStack() as stack:

        def write(port: int, key: str = "secret", *, runs: bool = True) -> Path:
            folder = tmp_path / str(port)
            folder.mkdir()
            pid = stack.enter_context(process_of(folder)) if runs else 1
            new_server(folder, port=port, pid=pid).save()
            keys = {kind: {"key": key, "expiration time": "2999-01-01T00:00:00Z"} for kind in ("inference", "API")}
            (folder / "key_file.json").write_text(json.dumps(keys))
            return folder

        yield write


def test_the_only_running_server_is_selected(
    tmp_path: Path, listeners: list[socket.socket], record: Callable[..., Path]
) -> None:
    port = listeners[0].getsockname()[1]
    record(port)
    target = find_target(servers=tmp_path)
    assert target == Target(f"http://127.0.0.1:{port}", "secret") == find_target(port, tmp_path)
    assert target.headers["Authorization"] == "Bearer secret"


def test_records_of_servers_that_are_gone_or_half_written_do_not_count(
    tmp_path: Path, listeners: list[socket.socket], record: Callable[..., Path]
) -> None:
    running, another = (listener.getsockname()[1] for listener in listeners)
    with socket.socket() as bound:  # it accepts no connection, and no other process can use its port
        bound.bind(("127.0.0.1", 0))
        gone = bound.getsockname()[1]
        record(gone)
        record(running)
        record(another, runs=False)
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "server.json").write_text('{"port"')
        assert find_target(servers=tmp_path).url.endswith(str(running))
        for port in (gone, another):
            with pytest.raises(LoadTestError, match=f"no server is running on port {port}"):
                find_target(port, tmp_path)


def test_of_several_servers_one_has_to_be_chosen(
    tmp_path: Path, listeners: list[socket.socket], record: Callable[..., Path]
) -> None:
    first, second = sorted(listener.getsockname()[1] for listener in listeners)
    record(first, "one")
    record(second, "two")
    with pytest.raises(LoadTestError, match=f"{first}, {second}: choose one with --port"):
        find_target(servers=tmp_path)
    assert find_target(second, tmp_path).token == "two"


def test_without_a_server_the_message_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match=r"make serve.* --url and --token"):
        find_target(servers=tmp_path / "none")


def test_a_key_that_cannot_be_read_is_reported(
    tmp_path: Path, listeners: list[socket.socket], record: Callable[..., Path]
) -> None:
    port = listeners[0].getsockname()[1]
    record(port)
    (tmp_path / str(port) / "key_file.json").unlink()
    with pytest.raises(LoadTestError, match=f"cannot read the keys of the server on port {port}"):
        find_target(port, tmp_path)


def test_a_server_without_keys_gets_no_header() -> None:
    assert "Authorization" not in Target("http://localhost", None).headers


def test_only_a_server_of_this_machine_is_watched(
    tmp_path: Path, listeners: list[socket.socket], record: Callable[..., Path]
) -> None:
    running, ended = (listener.getsockname()[1] for listener in listeners)
    record(running)
    record(ended, runs=False)
    urls = [f"http://127.0.0.1:{running}", f"http://127.0.0.1:{ended}", "http://elsewhere:8080"]
    servers = [local_server(Target(url, None), tmp_path) for url in urls]
    assert [server.port if server else None for server in servers] == [running, None, None]
