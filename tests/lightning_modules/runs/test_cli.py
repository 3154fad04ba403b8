"""The command line on a tiny backbone: fit, resume, interrupt, two processes, gates, and what a wrong setting says."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoTokenizer

from archives.build import build_archive
from archives.verify import verify_archive
from lightning_modules import cli
from lightning_modules.models.classifier import Classifier
from tests.support.topics import TOPICS


def command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "lightning_modules", *arguments]


def test_fit_trains_reports_exports_and_the_export_makes_an_archive(tmp_path: Path, arguments: Any) -> None:
    result = subprocess.run(command(arguments(epochs=6)), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("training texts are cut to data.max_length 16 tokens") == 1
    assert re.search(
        r"^time: start \d+ s, data \d+ s, training \d+ s, evaluation \d+ s, export \d+ s, report \d+ s; \d+ s in all$",
        result.stdout,
        re.MULTILINE,
    )
    run = tmp_path / "topics"
    metrics = json.loads((run / "report" / "metrics.json").read_text())
    assert metrics["accuracy"] > 0.9
    assert set(metrics["complexity"]["per_class"]) == {"low", "high"}
    assert [row["form"] for row in metrics["comparison"]] == ["torch", "fp32", "int8"]
    assert metrics["baseline"]["accuracy"] > 0.9
    validated = [record["step"] for record in metrics["history"] if "val_loss" in record]
    assert validated[:3] == [0, 9, 18]  # before training, after each epoch
    trained = [record["train_loss"] for record in metrics["history"] if "train_loss" in record]
    assert len(trained) == validated[-1], "54 steps are few enough to draw each"
    assert trained[0] > 2 * trained[-1]
    assert metrics["profile"]["padding_share"] < metrics["profile"]["padding_share_at_max_length"]
    assert Image.open(run / "report" / "confusion_matrix.png").width > 300
    assert (run / "config.yaml").is_file()
    assert list((run / "logs").rglob("events.out.tfevents*"))

    export = run / "export"
    metadata = json.loads((export / "metadata.json").read_text())
    assert metadata["labels"] == sorted(TOPICS)
    assert set(metadata["files"]) == {path.name for path in export.iterdir() if path.is_file()} - {"metadata.json"}
    encoder = AutoModel.from_pretrained(export / "hf")
    tokenizer = AutoTokenizer.from_pretrained(export / "hf")
    assert encoder(**tokenizer("rain and sun", return_tensors="pt")).last_hidden_state.shape[-1] == 32
    verify_archive(build_archive("topics", tmp_path, tmp_path / "store"))


def test_a_missed_gate_exits_with_1_says_by_how_much_and_exports_nothing(tmp_path: Path, arguments: Any) -> None:
    unreachable = arguments("--gate.accuracy=1.0", "--trainer.limit_train_batches=1", epochs=1)
    result = subprocess.run(command(unreachable), capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "below the required 1.0000" in result.stderr.splitlines()[-1]
    assert (tmp_path / "topics" / "report" / "report.html").is_file()
    assert not list((tmp_path / "topics").glob("export*"))


def test_a_training_that_diverges_is_told_and_exports_nothing(
    tmp_path: Path, arguments: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments("--model.learning_rate=1e30", "--trainer.gradient_clip_val=0", epochs=1))
    assert caught.value.code == 2
    assert "training diverged" in capsys.readouterr().err
    assert not list((tmp_path / "topics").glob("export*"))


def test_an_interrupt_keeps_the_best_checkpoint(tmp_path: Path, arguments: Any) -> None:
    endless = arguments("--early_stopping.patience=10000", epochs=10_000)
    # A shell's background job ignores the signal, and its children would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command(endless), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    best = tmp_path / "topics" / "checkpoints" / "best.ckpt"
    deadline = time.monotonic() + 120
    while not best.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"Traceback" not in errors
    assert torch.load(best, weights_only=False)["state_dict"]
    assert not (tmp_path / "topics" / "export").exists()


def test_two_processes_train_one_model(tmp_path: Path, arguments: Any) -> None:
    both = arguments("--trainer.devices=2", "--trainer.strategy=ddp", epochs=3)
    result = subprocess.run(command(both), capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads((tmp_path / "topics" / "report" / "metrics.json").read_text())["accuracy"] > 0.6
    assert (tmp_path / "topics" / "export" / "metadata.json").is_file()


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--data.train_file=nowhere.csv", "data file nowhere.csv does not exist"),
        ("--data.label_column=category", "no column 'category'"),
        ("--model.backbone=./nowhere", "backbone folder ./nowhere does not exist"),
        ("--model.freeze_layers=9", "model.freeze_layers is 9"),
        ("--data.max_length=999", "data.max_length is 999, but the backbone has 64 positions"),
        ("--data.max_length=1", "data.max_length is 1: give 3 or more"),
        ("--trainer.accelerator=cuda", "CUDAAccelerator"),
        ("--name=../escape", "letters a-z, digits"),
        ("--name=_first", "a letter or digit first"),
        ("--gate.accuracy=88", "give a fraction from 0 to 1"),
        ("--gate.exact_match=0.8", "gate.exact_match is not a metric of this task: give accuracy or macro_f1"),
        ("--model.warmup=-1", "model.warmup is -1"),
        ("--model.poolin=max", "there is no option --model.poolin; did you mean --model.pooling?"),
        (
            "--early_stopping.monitor=val_f1",
            "early_stopping.monitor is val_f1: give one of val_accuracy, val_loss, val_macro_f1",
        ),
        ("--early_stopping.monitor=train_los", "train_los"),
        ("--early_stopping.monitor=val_loss", "keeps the worst val_loss: give --early_stopping.mode=min"),
        ("--early_stopping.mode=min", "keeps the worst val_macro_f1: give --early_stopping.mode=max"),
        ("--ckpt_path=nowhere.ckpt", "nowhere.ckpt"),
        ("--trainer.max_epoch=3", "there is no option --trainer.max_epoch; did you mean --trainer.max_epochs?"),
        ("--gate.acuracy=0.8", "did you mean --gate.accuracy?"),
        ("--data.max_lenght=3", "there is no option --data.max_lenght; did you mean --data.max_length?"),
        ("--data.least_steps=3", "did you mean --data.min_steps_per_epoch?"),
        ("--data.synthetic.edge_case=3", "did you mean --data.synthetic.edge_cases?"),
        ("--trainer.max_epochs=x", "--trainer.max_epochs is 'x': give a whole number or null"),
        ("--data.batch_size=many", "--data.batch_size is 'many': give a whole number"),
        ("--model.pooling=median", "--model.pooling is 'median': give cls, mean, max or attention"),
        ("--model.class_path=nowhere.Model", "the class 'nowhere.Model' cannot be used: No module named 'nowhere'"),
        ("--config=configs/intnt.yaml", "there is no file configs/intnt.yaml; did you mean configs/intent.yaml?"),
        ("--trainer.max_epochs", "--trainer.max_epochs needs a value"),
        ("stray", "'stray' is no option"),
    ],
)
def test_a_wrong_setting_is_told_without_a_stack_trace(
    arguments: Any, argument: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments(argument))
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.startswith("error: ")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("trainer:\n  max_epoch: 3\n", "did you mean --trainer.max_epochs?"),
        ("data:\n  init_args:\n    max_lenght: 3\n", "did you mean --data.max_length?"),
        ("data: [1\n", "Problems parsing config"),
    ],
)
def test_a_wrong_key_of_a_yaml_file_is_told_in_one_sentence(
    tmp_path: Path, arguments: Any, content: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.yaml").write_text(content)
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments(f"--config={tmp_path / 'own.yaml'}"))
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["fitt"], "there is no command fitt; did you mean fit?"),
        ([], "there is no command: give fit, train, distil, tune or compare"),
        (["fit"], "--name is missing"),
    ],
)
@pytest.mark.usefixtures("arguments")
def test_a_missing_command_or_name_is_told_in_one_sentence(
    command: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(command)
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.splitlines()) == 1


def test_a_monitor_that_validation_does_not_know_ends_the_run_before_its_first_epoch(
    tmp_path: Path, arguments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    monkeypatch.setattr(Classifier, "training_step", lambda *args: trained.append(1))
    with pytest.raises(SystemExit):
        cli.main(arguments("--early_stopping.monitor=val_f1"))
    assert not trained


def test_a_logger_of_ones_own_takes_the_place_of_tensorboard(
    tmp_path: Path, arguments: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lightning_modules.cli.finish", lambda *args, **kwargs: [])
    cli.main(arguments("--trainer.logger=false", epochs=1))
    assert not (tmp_path / "topics" / "logs").exists()
    with pytest.raises(SystemExit):
        cli.main(arguments("--trainer.logger=false", "--mlflow=true"))
    assert "error: --trainer.logger and --mlflow true: give one of them" in capsys.readouterr().err


@pytest.mark.usefixtures("arguments")
def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    words = capsys.readouterr().out.split()
    assert {"fit", "train", "distil", "tune", "compare"} <= set(words)


def test_mlflow_that_is_not_installed_is_told_with_its_extra(
    arguments: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(SystemExit):
        cli.main(arguments("--mlflow=true"))
    assert "make setup EXTRAS=mlflow" in capsys.readouterr().err
