"""Test which recorded servers count as running, and which one a command selects."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from archives.errors import ServerError
from archives.serving import ports, record
from archives.serving.record import Server
from tests.support.recorded import new_server, process_of


def recorded(servers: Path, port: int, pid: int = 1) -> Server:
    folder = servers / str(port)
    folder.mkdir(parents=True)
    server = new_server(folder, port=port, pid=pid)
    server.save()
    return server


def test_only_a_server_that_answers_is_listed(tmp_path: Path) -> None:
    free = ports.free_ports("127.0.0.1", 1)[0]
    with process_of(tmp_path / str(free)) as pid:
        silent = recorded(tmp_path, free, pid)
        assert record.load(silent.folder) == silent
        with pytest.raises(ServerError, match="no server is running"):
            record.find(servers=tmp_path)
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        first, second = (listener.getsockname()[1] for listener in listeners)
        first_server = recorded(tmp_path, first, stack.enter_context(process_of(tmp_path / str(first))))
        assert record.find(servers=tmp_path) == first_server
        second_server = recorded(tmp_path, second, stack.enter_context(process_of(tmp_path / str(second))))
        with pytest.raises(ServerError, match="choose one with --port"):
            record.find(servers=tmp_path)
        assert record.find(second_server.port, tmp_path) == second_server
        assert not ports.is_free("127.0.0.1", second_server.port)


def test_another_program_on_the_port_of_a_stopped_server_is_not_mistaken_for_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as another, process_of(tmp_path) as pid:
        port = another.getsockname()[1]
        recorded(tmp_path, port, pid)
        with pytest.raises(ServerError, match="no server is running"):
            record.find(port, tmp_path)


def test_an_unreadable_record_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / record.RECORD).write_text("{}")
    assert record.recorded(tmp_path) == []


@pytest.mark.parametrize("processes", ["/proc", "/no/such/folder"])
def test_a_server_runs_as_long_as_its_process_does(
    processes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check this both on Linux and without /proc, as on macOS."""
    monkeypatch.setattr(record, "PROCESSES", Path(processes))
    with process_of(tmp_path) as pid:
        server = new_server(tmp_path, pid=pid)
        assert record.is_running(server)
        assert not record.is_running(new_server(tmp_path / "another", pid=pid))
    assert not record.is_running(server)
