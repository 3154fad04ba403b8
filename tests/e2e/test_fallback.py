"""A worker whose INT8 model answers wrongly, as on a processor that computes INT8 otherwise."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import requests

from archives.build import build_archive
from archives.serving import record, tokens
from handlers.integrity import sha256
from tests.support.served import MODEL, Served, archives
from tests.support.spoiled import shuffle_weights


def fallen_back(session: requests.Session, url: str) -> list[str]:
    """The values of the metric at a server's metrics port."""
    text = session.get(url, timeout=10).text
    return re.findall(rf'^serving_fp32_fallback{{.*ModelName="{MODEL}".*}} (\S+)$', text, re.MULTILINE)


def test_a_worker_with_a_wrong_int8_model_serves_fp32_and_says_so(
    tiny_runs: Path, tmp_path: Path, servers: Path
) -> None:
    export = shutil.copytree(tiny_runs, tmp_path / "runs") / MODEL / "export"
    int8, facts = export / "model_int8.onnx", export / "metadata.json"
    before = sha256(int8)
    shuffle_weights(int8)
    # So that nothing but its answers tells.
    facts.write_text(facts.read_text().replace(before, sha256(int8)))
    build_archive(MODEL, tmp_path / "runs", tmp_path / "store")
    where = ("--servers", servers, "--port", "0", "--workers", "1")
    started = archives("serve", "--store", tmp_path / "store", *where)
    assert started.returncode == 0, started.stderr
    port = re.search(r"starting TorchServe on port (\d+)", started.stdout)
    assert port
    server = record.find(int(port[1]), servers)
    try:
        assert f"{MODEL} 1.0: 10 of 10 golden requests answered as expected" in started.stdout
        assert f"{MODEL} 1.0: serves fp32, slower, as INT8 is wrong on this machine" in started.stdout
        warnings = [line for line in (server.logs / "workers.log").read_text().splitlines() if "WARNING: INT8" in line]
        assert len(warnings) == 1
        with tokens.local_session() as session:
            served = Served(server, session)
            for pair in json.loads((export / "golden.json").read_text()):
                assert served.post(json=pair["request"]).json() == pair["fp32"]
            assert fallen_back(session, server.metrics_url) == ["1.0"]
    finally:
        archives("stop", "--servers", servers, "--port", str(server.port))


def test_a_worker_whose_int8_model_is_right_says_so_too(served: Served) -> None:
    assert fallen_back(served.session, served.server.metrics_url) == ["0.0"]
