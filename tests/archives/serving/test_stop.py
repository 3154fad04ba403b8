"""Test how a server is stopped: how long it waits for its requests, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from archives.build import MODEL_CONFIGS
from archives.errors import ServerError
from archives.serving import management, record
from archives.serving import stop as stops
from archives.serving.record import Server
from archives.serving.settings import DRAIN_SECONDS
from handlers.entry import SHARE_OF_TIMEOUT
from tests.support.recorded import new_server, process_of


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with process_of(tmp_path) as pid:
        yield new_server(tmp_path, pid=pid)


def management_says(
    monkeypatch: pytest.MonkeyPatch, *answers: int | Exception | None
) -> Iterator[int | Exception | None]:
    """Make the management API give one of these a poll: waiting requests, no answer, or an unknown model."""
    left = iter(answers)

    def describe(*where: Any) -> dict[str, Any] | None:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return None if answer is None else {"jobQueueStatus": {"pendingRequests": answer}}

    monkeypatch.setattr(management, "describe", describe)
    monkeypatch.setattr(stops, "POLL_SECONDS", 0.01)
    return left


def test_it_is_idle_once_no_request_waits_and_not_while_it_does_not_answer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = management_says(monkeypatch, 2, requests.ReadTimeout(), 1, 0)
    assert stops.wait_until_idle(server, 60)
    assert list(left) == []


def test_no_request_waits_in_a_model_that_was_unregistered(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    management_says(monkeypatch, None)
    assert stops.wait_until_idle(server, 60)


def test_a_server_that_has_ended_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    management_says(monkeypatch, requests.ConnectionError())
    with process_of(tmp_path) as pid:
        server = new_server(tmp_path, pid=pid)
    assert stops.wait_until_idle(server, 60)


def test_the_record_of_a_dead_server_is_cleaned(tmp_path: Path) -> None:
    folder = tmp_path / "18080"
    (folder / "tmp").mkdir(parents=True)
    dead = new_server(folder)
    dead.save()
    dead.key_file.write_text("{}")
    printed: list[str] = []
    assert not record.is_running(dead)
    stops.stop(dead, report=printed.append)
    assert "already gone" in printed[0]
    assert not record.recorded(tmp_path)
    assert list(folder.iterdir()) == []


def test_a_stop_waits_as_long_as_a_batch_may_take() -> None:
    timeouts = [yaml.safe_load(path.read_text())["responseTimeout"] for path in MODEL_CONFIGS.glob("*.yaml")]
    assert SHARE_OF_TIMEOUT * max(timeouts) < DRAIN_SECONDS


def test_the_server_to_stop_is_the_only_one_that_runs_or_that_of_the_port(tmp_path: Path) -> None:
    def new_record(port: int, pid: int) -> Server:
        (tmp_path / str(port)).mkdir(exist_ok=True)
        server = new_server(tmp_path / str(port), port=port, pid=pid)
        server.save()
        return server

    with pytest.raises(ServerError, match="no server is running"):
        stops.find_stoppable(None, tmp_path)
    gone = new_record(1, pid=1)
    assert stops.find_stoppable(None, tmp_path) == gone  # its record has yet to be removed
    with process_of(tmp_path / "2") as two, process_of(tmp_path / "3") as three:
        second = new_record(2, two)
        assert stops.find_stoppable(None, tmp_path) == second
        new_record(3, three)
        with pytest.raises(ServerError, match="ports 2, 3: choose one with --port"):
            stops.find_stoppable(None, tmp_path)
        assert stops.find_stoppable(2, tmp_path) == second
        with pytest.raises(ServerError, match="no server is running"):
            stops.find_stoppable(4, tmp_path)
