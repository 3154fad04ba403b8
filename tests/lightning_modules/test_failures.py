"""Memory, disk and network end in one line each, for errors that the real libraries raise."""

import errno
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import save_file

from lightning_modules.errors import UserError
from lightning_modules.failures import find_mendable, quiet_libraries
from tests.support.full_disk import full_beyond


def explained(action: Callable[[], object]) -> str:
    """Return the line about what an action raises."""
    with pytest.raises(Exception) as caught:  # of any kind
        action()
    line = find_mendable(caught.value)
    assert line is not None, caught.value
    assert "\n" not in line
    return line


def test_memory_that_torch_or_python_cannot_get_is_told() -> None:
    def cuda() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has less.\nSee the manual.")

    for allocate in (lambda: torch.empty(1 << 60), lambda: bytearray(1 << 62), cuda):
        line = explained(allocate)
        assert line.startswith("out of memory: ")
        assert "--auto_batch_size true" in line
        assert "--ckpt_path last" in line


def test_a_full_disk_is_told_by_whatever_writes(tmp_path: Path) -> None:
    tensors = {"weights": torch.zeros(100_000)}
    with full_beyond(100_000):
        lines = [
            explained(lambda: torch.save(tensors, tmp_path / "torch")),
            explained(lambda: save_file(tensors, tmp_path / "safetensors")),
            explained(lambda: (tmp_path / "python").write_bytes(bytes(200_000))),
        ]
    for line in lines:
        assert line.startswith("the disk is full: ")
        assert "--runs_dir" in line


def test_a_full_disk_is_told_with_its_place_before_what_others_made_of_it(tmp_path: Path) -> None:
    def read() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "missing" / "best.ckpt"))
        except OSError as error:
            raise UserError("the file cannot be read") from error

    line = explained(read)
    assert "the disk is full" in line
    assert f"({tmp_path} has " in line


@pytest.mark.parametrize(("error", "lines"), [(OSError(errno.ENOSPC, "full"), 0), (KeyError("label"), 1)])
def test_a_thread_leaves_the_telling_to_the_main_one(
    error: Exception, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    quiet_libraries()
    writer = threading.Thread(target=fail)
    writer.start()
    writer.join()
    assert capsys.readouterr().err.count("Traceback") == lines


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_network_that_fails_is_told_with_its_address(
    closed_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = explained(lambda: requests.get(f"http://127.0.0.1:{closed_port}/health", timeout=5))
    assert line.startswith(f"the network failed at http://127.0.0.1:{closed_port}/health: ")
    assert "local folders and files" in line

    def fetch() -> None:
        hf_hub_download("owner/name", "f", endpoint=f"http://127.0.0.1:{closed_port}", cache_dir=tmp_path)

    assert explained(fetch).startswith("the network failed")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert explained(fetch).startswith("the network failed")


def test_a_wrong_setting_is_told_before_the_network_that_it_failed_at() -> None:
    def load() -> None:
        try:
            raise ConnectionError("no route")
        except ConnectionError as error:
            raise UserError("backbone 'x' could not be loaded") from error

    assert explained(load) == "backbone 'x' could not be loaded"


def test_a_folder_that_may_not_be_written_is_told() -> None:
    def write() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/runs/intent")

    assert explained(write).startswith("/runs/intent: Permission denied")


@pytest.mark.parametrize("error", [KeyError("label"), RuntimeError("shapes differ"), BrokenPipeError(), OSError("odd")])
def test_an_error_of_the_program_is_not_explained_away(error: Exception) -> None:
    assert find_mendable(error) is None
