"""When a server counts as idle, told by its management API: its process does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from archives.serving import drain
from archives.serving.record import Server
from tests.support.recorded import new_server, process_of


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with process_of(tmp_path) as pid:
        yield new_server(tmp_path, pid=pid)


def says(monkeypatch: pytest.MonkeyPatch, *answers: int | Exception | None) -> Iterator[int | Exception | None]:
    """Lets the API say these, one a look: how many requests wait, no answer, or that it knows no such model."""
    left = iter(answers)

    def describe(*where: Any) -> dict[str, Any] | None:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return None if answer is None else {"jobQueueStatus": {"pendingRequests": answer}}

    monkeypatch.setattr(drain, "describe", describe)
    monkeypatch.setattr(drain, "POLL_SECONDS", 0.01)
    return left


def test_it_is_idle_once_no_request_waits_and_not_while_it_does_not_answer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = says(monkeypatch, 2, requests.ReadTimeout(), 1, 0)
    assert drain.wait_until_idle(server, 60)
    assert list(left) == []


def test_in_a_model_that_was_taken_away_no_request_waits(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, None)
    assert drain.wait_until_idle(server, 60)


def test_one_that_has_ended_is_waited_for_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, requests.ConnectionError())
    with process_of(tmp_path) as pid:
        server = new_server(tmp_path, pid=pid)
    assert drain.wait_until_idle(server, 60)
