"""Stages that their settings skip: what they leave, what the stages after them make of it, and how that ends."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from lightning_modules import cli, skipping
from lightning_modules.evaluation.run_metrics import run_metrics
from tests.support.topics import topics_options, write_topics

Arguments = Callable[..., list[str]]
NULLS = {form: {"accuracy": None, "macro_f1": None} for form in ("torch", "fp32", "int8")}


@pytest.fixture(autouse=True)
def no_arguments_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """LightningCLI warns of command line arguments beside those it is given."""
    monkeypatch.setattr(sys, "argv", ["lightning_modules"])


@pytest.fixture
def arguments(tmp_path: Path, tiny_backbone: Path) -> Arguments:
    data = write_topics(tmp_path / "topics.csv")

    def build(command: str, *more: str) -> list[str]:
        return [command, "--config=configs/intent.yaml", *topics_options(tmp_path, tiny_backbone, data, 1), *more]

    return build


def run_cli(arguments: list[str]) -> object:
    """The exit code of the command line."""
    try:
        cli.main(arguments)
    except SystemExit as end:
        return end.code or 0
    return 0


def test_a_disabled_fit_leaves_a_record_and_a_later_one_removes_it(
    tmp_path: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "topics"
    assert run_cli(arguments("fit", "--enable=false")) == 0
    assert capsys.readouterr().out == "topics: skipped: enable is false\n"
    assert [path.name for path in run.iterdir()] == ["skipped.json"]
    record = json.loads((run / "skipped.json").read_text())
    assert (record["name"], record["stage"], record["why"]) == ("topics", "fit", "enable is false")
    assert run_metrics(run) == record["metrics"] == NULLS

    assert run_cli(arguments("fit")) == 0
    assert not (run / "skipped.json").exists()
    figures = run_metrics(run)
    assert figures["torch"]["accuracy"] == json.loads((run / "report" / "metrics.json").read_text())["accuracy"]
    exported = (run / "export" / "metadata.json").read_bytes()

    # The export stays where it is, and is not taken for that of the skipped run.
    assert run_cli(arguments("fit", "--enable=false")) == 0
    assert (run / "export" / "metadata.json").read_bytes() == exported
    assert run_metrics(run) == NULLS


def test_require_cuda_skips_where_there_is_none(
    tmp_path: Path, arguments: Arguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run_cli(arguments("fit", "--require_cuda=true")) == 0
    assert "CUDA" in str(skipping.why_skipped(tmp_path / "topics"))
    assert skipping.skip_reason(enable=True, require_cuda=False) is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert skipping.skip_reason(enable=True, require_cuda=True) is None


def test_a_skipped_search_passes_it_on_to_the_fit_that_takes_its_settings(tmp_path: Path, arguments: Arguments) -> None:
    folder = tmp_path / "topics" / "tune"
    assert run_cli(arguments("tune", "--trials=1", "--enable=false")) == 0
    assert skipping.why_skipped(folder) == "enable is false"
    assert not list(folder.glob("study*"))
    assert run_cli(arguments("fit", f"--config={folder / 'best.yaml'}")) == 0
    assert skipping.why_skipped(tmp_path / "topics") == "enable is false"
    assert not (tmp_path / "topics" / "export").exists()

    # What an earlier search has found stays.
    (folder / "best.yaml").write_text("trainer: {max_epochs: 7}\n")
    assert run_cli(arguments("tune", "--trials=1", "--enable=false")) == 0
    assert yaml.safe_load((folder / "best.yaml").read_text()) == {"trainer": {"max_epochs": 7}}


def test_students_are_skipped_by_their_settings_and_with_their_teacher(
    tmp_path: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(arguments("fit", "--enable=false")) == 0
    teacher = tmp_path / "topics"
    (teacher / "export").mkdir()  # of an earlier run
    (teacher / "export" / "metadata.json").write_text("{}")
    students = ["distil", "--config=configs/student.yaml", f"--runs_dir={tmp_path}", f"--model.teacher={teacher}"]
    own = [*students, f"--model.backbone={tmp_path}", "--trainer.accelerator=cpu"]
    assert run_cli([*own, "--name=first"]) == 0
    assert skipping.why_skipped(tmp_path / "first") == f"its teacher {teacher} was skipped (enable is false)"
    assert run_cli([*own, "--name=second", "--enable=false"]) == 0
    assert skipping.why_skipped(tmp_path / "second") == "enable is false"
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told] == ["topics", "first", "second"]


@pytest.mark.parametrize("option", ["--enable=perhaps", "--require_cuda=2"])
def test_a_condition_that_is_neither_true_nor_false_is_refused(
    tmp_path: Path, arguments: Arguments, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(arguments("fit", option)) == 2
    assert option.split("=", maxsplit=1)[0][2:] in capsys.readouterr().err
    assert not (tmp_path / "topics").exists()


@pytest.mark.parametrize(("settings", "told"), [("", {"runs": True}), ("enable: false", {"runs": False})])
def test_what_holds_on_this_machine_becomes_a_file(tmp_path: Path, settings: str, told: dict[str, bool]) -> None:
    config, out = tmp_path / "task.yaml", tmp_path / "runs" / "task" / "condition.json"
    config.write_text(f"name: task\n{settings}\n")
    command = [sys.executable, "-m", "lightning_modules.skipping", "--config", str(config), "--out", str(out)]
    subprocess.run(command, check=True)
    assert told.items() <= json.loads(out.read_text()).items()
    config.write_text("name: student\n")
    after = out.with_name("after.json")
    subprocess.run([*command[:-1], str(after), "--after", str(out)], check=True)
    assert json.loads(after.read_text()) == json.loads(out.read_text())
