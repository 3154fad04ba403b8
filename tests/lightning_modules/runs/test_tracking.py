"""MLflow: a search and a final model on a real server, and what is said without one."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from lightning_modules import cli
from lightning_modules.export.files import sha256
from lightning_modules.text_files import write_json
from lightning_modules.tracking import make_logger, publish
from tests.support.topics import topics_options, write_topics

needs_mlflow = pytest.mark.skipif(
    find_spec("mlflow") is None, reason="mlflow is not installed here: make setup EXTRAS=mlflow"
)
SPACE = {"model.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}, "data.batch_size": {"choices": [16, 32]}}


@pytest.fixture(autouse=True)
def no_arguments_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """LightningCLI warns of command line arguments beside those it is given."""
    monkeypatch.setattr(sys, "argv", ["lightning_modules"])


@pytest.fixture
def arguments(tmp_path: Path, tiny_backbone: Path) -> Any:
    data, space = write_topics(tmp_path / "topics.csv"), tmp_path / "space.yaml"
    space.write_text(yaml.safe_dump({"tune": {"space": SPACE}}))

    def build(command: str, *more: str) -> list[str]:
        return [
            command,
            "--config=configs/intent.yaml",
            f"--config={space}",
            *topics_options(tmp_path / "runs", tiny_backbone, data),
            "--mlflow=true",
            *more,
        ]

    return build


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real MLflow server on a free port, with a store of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = [f"--backend-store-uri=sqlite:///{tmp_path / 'server.db'}", f"--artifacts-destination={tmp_path / 'files'}"]
    place = ["--host=127.0.0.1", f"--port={port}", "--workers=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *store, *place],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not answers(url):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


@needs_mlflow
def test_a_search_and_final_models_on_a_server(tmp_path: Path, arguments: Any, server: str) -> None:
    from mlflow import MlflowClient

    cli.main(arguments("tune", "--trials=1"))
    cli.main(arguments("tune", "--trials=3"))  # goes on below the same parent
    client = MlflowClient(server)
    (experiment,) = client.search_experiments(filter_string="name = 'topics'")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"search", "trial-0", "trial-1", "trial-2"}
    search = runs.pop("search")
    assert search.info.status == "FINISHED"
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {search.info.run_id}
    assert runs["trial-0"].data.params["model.learning_rate"] == "0.01"
    assert len({run.data.params["model.learning_rate"] for run in runs.values()}) == 3
    for run in runs.values():
        assert {"val_macro_f1", "val_loss", "train_loss"} <= set(run.data.metrics)
        assert run.data.tags["python"].startswith("3.")
        assert int(run.data.tags["cpu_count"]) > 0
        assert {"torch", "git_commit"} <= set(run.data.tags)
    complete = [run for run in runs.values() if run.data.tags["state"] == "complete"]
    assert {run.info.status for run in complete} == {"FINISHED"}
    assert search.data.metrics["best"] == max(run.data.metrics["best"] for run in complete)
    files = {file.path for file in client.list_artifacts(search.info.run_id)}
    assert {"best.yaml", "trials.json", "trials.csv", "history.png"} <= files

    cli.main(arguments("fit"))
    champion_is(client, "topics", tmp_path)

    cli.main(["distil", *student_options(tmp_path), "--seeds", "3"])
    final = champion_is(client, "pupil", tmp_path)
    assert final.info.run_name == "distil"
    assert final.info.status == "FINISHED"
    assert final.data.params["chosen_seed"] == "3"
    assert "comparison.json" in {Path(file.path).name for file in client.list_artifacts(final.info.run_id, "report")}
    others = {run.info.run_name for run in client.search_runs([final.info.experiment_id])} - {"distil"}
    assert others == {"baseline-3", "distilled-3"}


def champion_is(client: Any, name: str, root: Path) -> Any:
    """The run of the registered model, which is what lies in the run's folder."""
    from mlflow.artifacts import download_artifacts

    final = client.get_run(client.get_model_version_by_alias(name, "champion").run_id)
    assert 0 <= final.data.metrics["int8/accuracy"] <= 1
    server = client.tracking_uri
    folder = Path(
        download_artifacts(f"models:/{name}@champion", dst_path=str(root / "got" / name), tracking_uri=server)
    )
    assert sha256(folder / "model_int8.onnx") == sha256(root / "runs" / name / "export" / "model_int8.onnx")
    return final


def student_options(root: Path) -> list[str]:
    """Of `pupil`, a student of `topics`."""
    runs = root / "runs"
    common = topics_options(runs, Path("the teacher's"), root / "topics.csv")
    own = ["--name=pupil", f"--model.teacher={runs / 'topics'}", "--model.student_layers=1", "--mlflow=true"]
    return ["--config=configs/student.yaml", *(o for o in common if not o.startswith("--model.backbone")), *own]


@needs_mlflow
def test_a_server_that_does_not_answer_is_told_at_once(
    arguments: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments("fit"))
    assert caught.value.code == 2
    assert "no MLflow server answers at MLFLOW_TRACKING_URI http://127.0.0.1:9" in capsys.readouterr().err


@needs_mlflow
def test_without_a_server_runs_and_models_are_kept_in_the_runs_folder(tmp_path: Path) -> None:
    before = set(Path().iterdir())
    run = tmp_path / "run"
    for folder in ("report", "export"):
        (run / folder).mkdir(parents=True)
    (run / "config.yaml").write_text("name: tiny\n")
    write_json(run / "export" / "metadata.json", {"metrics": {"int8": {"accuracy": 0.5, "method": "dynamic"}}})
    for passed in (True, False, True):
        logger = make_logger("tiny", str(tmp_path / "runs"))
        publish(logger, "tiny", run, passed=passed)
    client = logger.experiment
    assert {str(version.version) for version in client.search_model_versions("name = 'tiny'")} == {"1", "2"}
    champion = client.get_model_version_by_alias("tiny", "champion")
    assert str(champion.version) == "2"  # a number, or its text where a server answers
    assert champion.source.startswith((tmp_path / "runs" / "mlflow-artifacts").as_uri())
    assert client.get_run(champion.run_id).data.metrics == {"int8/accuracy": 0.5}
    assert set(Path().iterdir()) == before


def test_a_search_without_mlflow_tells_its_extra(
    arguments: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(SystemExit):
        cli.main(arguments("tune"))
    assert "make setup EXTRAS=mlflow" in capsys.readouterr().err
