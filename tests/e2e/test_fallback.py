"""A worker whose INT8 model answers wrongly, as on a processor that computes INT8 otherwise; served by a profile."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from archives.build import build_archive
from archives.serving import management, tokens
from handlers.integrity import sha256
from tests.support.served import MODEL, Served, archives, serve
from tests.support.spoiled import shuffle_weights


@pytest.fixture(scope="module")
def fallen_back(
    tiny_runs: Path, tmp_path_factory: pytest.TempPathFactory, servers: Path
) -> Iterator[tuple[Served, str, Path]]:
    """Start a server in the profile `latency` with a wrong INT8 model; with its output and its golden requests."""
    folder = tmp_path_factory.mktemp("fallback")
    export = shutil.copytree(tiny_runs, folder / "runs") / MODEL / "export"
    int8, metadata = export / "model_int8.onnx", export / "metadata.json"
    before = sha256(int8)
    shuffle_weights(int8)
    # Only its answers shall show that it is wrong.
    metadata.write_text(metadata.read_text().replace(before, sha256(int8)))
    build_archive(MODEL, folder / "runs", folder / "store")
    server, printed = serve(folder / "store", servers, "--profile", "latency")
    with tokens.local_session() as session:
        yield Served(server, session), printed, export / "golden.json"
    archives("stop", "--servers", servers, "--port", str(server.port))


def metric(session: requests.Session, url: str) -> list[str]:
    """Return the values of the fallback's metric at a server's metrics port."""
    text = session.get(url, timeout=10).text
    return re.findall(rf'^serving_fp32_fallback{{.*ModelName="{MODEL}".*}} (\S+)$', text, re.MULTILINE)


def test_a_worker_with_a_wrong_int8_model_serves_fp32_and_says_so(fallen_back: tuple[Served, str, Path]) -> None:
    served, printed, golden = fallen_back
    assert f"{MODEL} 1.0: 10 of 10 golden requests answered as expected" in printed
    assert f"{MODEL} 1.0: serves fp32, slower, as INT8 is wrong on this machine" in printed
    log = (served.server.logs / "workers.log").read_text()
    assert len([line for line in log.splitlines() if "WARNING: INT8" in line]) == 1
    for pair in json.loads(golden.read_text()):
        assert served.post(json=pair["request"]).json() == pair["fp32"]
    assert metric(served.session, served.server.metrics_url) == ["1.0"]


def test_a_worker_whose_int8_model_is_right_says_so_too(served: Served) -> None:
    assert metric(served.session, served.server.metrics_url) == ["0.0"]


def test_a_profile_reaches_torchserve_and_the_printed_request_is_ready_to_paste(
    fallen_back: tuple[Served, str, Path],
) -> None:
    served, printed, _ = fallen_back
    description = management.describe(served.session, served.server, MODEL, "1.0")
    assert description is not None
    assert (description["batchSize"], description["maxBatchDelay"]) == (1, 1)
    assert f"-H 'Authorization: {tokens.bearer(served.server)}'" in printed
