from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import pytest

from archives.build import ENTRIES, build_archive
from archives.errors import ServerError
from archives.serving import hardware
from archives.serving.command import add_arguments, settings_of
from archives.serving.java import find_java
from archives.serving.settings import PROFILES, Settings, properties, read_profile
from archives.store import find_models
from tests.support.fake_smi import write_smi
from tests.support.mini_archive import write_archive


def parsed(*options: str, store: Path = Path("store")) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return argparse.Namespace(store=store, **vars(parser.parse_args(options)))


def read(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_a_server_is_private_needs_a_key_and_serves_only_its_store(tmp_path: Path) -> None:
    write_archive(tmp_path, "echo", version="2.0")
    settings = Settings(tmp_path, "127.0.0.1", 1, 2, 3, (4, 5), workers=7)
    written = read(properties(settings, find_models(tmp_path, [])))
    assert written["disable_token_authorization"] == "false"
    assert written["metrics_mode"] == "prometheus"
    addresses = {key: value for key, value in written.items() if key.endswith("_address")}
    assert all("127.0.0.1" in address for address in addresses.values())
    assert len(addresses) == 5
    allowed = re.compile(written["allowed_urls"].replace("\\\\", "\\"))
    assert allowed.fullmatch(f"file://{tmp_path}/echo.mar")
    for other in ("/%2e%2e%2fecho.mar", "/../echo.mar", "/folder/echo.mar", "/echo", "2/echo.mar"):
        assert not allowed.fullmatch(f"file://{tmp_path}{other}")
    assert not allowed.fullmatch("https://example.org/echo.mar")
    assert json.loads(written["models"]) == {"echo": {"2.0": {"minWorkers": 7, "maxWorkers": 7}}}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_sets_the_batches_of_every_task_that_is_built(
    profile: str, tmp_path: Path, tiny_runs: Path, tiny_qa_runs: Path
) -> None:
    build_archive("tiny", tiny_runs, tmp_path)
    build_archive("tiny_qa", tiny_qa_runs, tmp_path)
    settings = Settings(tmp_path, "127.0.0.1", 1, 2, 3, (4, 5), workers=2, profile=profile)
    models = json.loads(read(properties(settings, find_models(tmp_path, [])))["models"])
    for name in ("tiny", "tiny_qa"):
        assert set(models[name]["1.0"]) == {"minWorkers", "maxWorkers", "batchSize", "maxBatchDelay"}
        assert models[name]["1.0"]["maxBatchDelay"] >= 1, "0 means 100 ms to TorchServe"
        assert (models[name]["1.0"]["batchSize"] == 1) == (profile == "latency")


def test_a_profile_has_batches_for_every_task() -> None:
    for profile in PROFILES:
        assert set(read_profile(profile)) == set(ENTRIES)


def test_an_unknown_profile_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--profile", "fast")
    assert "balanced" in capsys.readouterr().err


def test_ports_follow_the_first_one_unless_set() -> None:
    settings = settings_of(parsed("--port", "18090"))
    assert (settings.port, settings.management_port, settings.metrics_port) == (18090, 18091, 18092)
    settings = settings_of(parsed("--port", "18090", "--metrics-port", "18099"))
    assert (settings.management_port, settings.metrics_port) == (18091, 18099)
    free = settings_of(parsed("--port", "0"))
    assert len({free.port, free.management_port, free.metrics_port, *free.grpc_ports, 0}) == 6


@pytest.mark.parametrize(("options", "port"), [(["--port=65534"], 65536), (["--metrics-port=-1"], -1)])
def test_an_impossible_port_is_named(options: list[str], port: int) -> None:
    with pytest.raises(ServerError, match=f"there is no port {port}: .*PORT="):
        settings_of(parsed(*options))


@pytest.mark.parametrize("workers", ["0", "-1", "two", "1.5"])
def test_a_wrong_number_of_workers_is_named(workers: str) -> None:
    with pytest.raises(ServerError, match="--workers"):
        settings_of(parsed(f"--workers={workers}"))


def test_without_a_gpu_auto_takes_the_cores_and_gpu_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(hardware.metadata, "version", lambda name: "2.13.0")
    settings = settings_of(parsed("--device", "auto"))
    assert (settings.gpus, settings.workers) == ([], hardware.usable_cores())
    with pytest.raises(ServerError, match=r"no GPU found .*: use DEVICE=cpu"):
        settings_of(parsed("--device", "gpu"))


@pytest.mark.parametrize(
    ("options", "gpus", "workers"),
    [
        ([], 2, 2),
        (["--device", "gpu"], 2, 2),
        (["--workers", "6"], 2, 6),
        (["--device", "cpu"], 0, hardware.usable_cores()),
    ],
)
def test_gpus_are_detected_and_written_for_torchserve(
    options: list[str], gpus: int, workers: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_smi(tmp_path, gpus=2, monkeypatch=monkeypatch)
    monkeypatch.setattr(hardware.metadata, "version", lambda name: "2.13.0")
    settings = settings_of(parsed(*options, store=tmp_path))
    assert (len(settings.gpus), settings.workers) == (gpus, workers)
    text = properties(settings, [])
    assert text.count("number_of_gpu=") == 1
    assert read(text)["number_of_gpu"] == str(gpus)


def test_paths_and_addresses_are_escaped_for_java(tmp_path: Path) -> None:
    store = tmp_path / "josé" / "𝄞"
    write_archive(store, "echo")
    settings = Settings(store, "::1", 1, 2, 3, (4, 5), workers=1)
    text = properties(settings, find_models(store, []))
    assert text.isascii()
    assert read(text)["model_store"].endswith(r"jos\u00e9/\ud834\udd1e")
    assert read(text)["inference_address"] == "http://[::1]:1"


def test_grpc_stays_private_when_the_other_apis_are_opened(tmp_path: Path) -> None:
    settings = Settings(tmp_path, "0.0.0.0", 1, 2, 3, (4, 5), workers=1)
    written = read(properties(settings, []))
    assert written["inference_address"] == "http://0.0.0.0:1"
    assert written["grpc_inference_address"] == written["grpc_management_address"] == "127.0.0.1"


def test_missing_and_broken_archives_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="make archive"):
        find_models(tmp_path, [])
    write_archive(tmp_path, "echo")
    with pytest.raises(ServerError, match=r"nobody\.mar.*echo"):
        find_models(tmp_path, ["nobody"])
    (tmp_path / "broken.mar").write_bytes(b"no zip")
    with pytest.raises(ServerError, match=r"broken\.mar"):
        find_models(tmp_path, [])


def test_a_java_home_without_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ServerError, match="JAVA_HOME"):
        find_java()
    monkeypatch.delenv("JAVA_HOME")
    assert find_java().is_file()
