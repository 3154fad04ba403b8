"""Servers whose workers are given a GPU: one that only nvidia-smi lists, and, where there is one, a real one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from archives.serving import tokens
from archives.serving.record import Server
from handlers.pipelines.base import GPU_FILE
from tests.support.fake_smi import write_smi
from tests.support.served import MODEL, Served, archives, serve


def worker_log(server: Server) -> str:
    """Return what the workers logged, after they answered their golden requests and one more; then stop them."""
    try:
        with tokens.local_session() as session:
            assert Served(server, session).post(json={"text": "hello"}).status_code == 200
        assert "\nnumber_of_gpu=1\n" in (server.folder / "config.properties").read_text()
        return (server.logs / "workers.log").read_text()
    finally:
        archives("stop", "--servers", server.folder.parent, "--port", str(server.port))


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch has a GPU here")
def test_where_torch_has_no_gpu_a_worker_serves_on_the_cpu_and_says_so(
    store: Path, servers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_smi(tmp_path, gpus=1, monkeypatch=monkeypatch)
    log = worker_log(serve(store, servers, "--models", MODEL, "--device", "gpu")[0])
    assert log.count("WARNING: torch finds no GPU 0") == 1
    assert "model_int8.onnx serves on the CPU" in log


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
def test_a_worker_serves_on_the_gpu(store: Path, servers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    log = worker_log(serve(store, servers, "--device", "gpu")[0])
    assert "WARNING" not in log
    assert f"{GPU_FILE} serves on cuda:0" in log
