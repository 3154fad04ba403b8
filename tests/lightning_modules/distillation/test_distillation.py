"""Test `distil` on a tiny backbone: students with and without a teacher, compared, resumed and archived."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from archives.build import build_archive
from archives.verify import verify_archive
from lightning_modules import cli
from lightning_modules.distillation.student import make_student, student_key
from lightning_modules.export.checkpoints import load_checkpoint
from tests.support.report_page import Page
from tests.support.tiny_export import tiny_tokenizer
from tests.support.tiny_teacher import tiny_network, write_tiny_teacher
from tests.support.topics import TOPICS, write_topics

Arguments = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def no_arguments_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide pytest's arguments, of which LightningCLI would warn."""
    monkeypatch.setattr(sys, "argv", ["lightning_modules"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def common(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the options that the teacher and its students have in common."""
    return [
        f"--runs_dir={runs}",
        f"--data.train_file={write_topics(tmp_path_factory.mktemp('data') / 'topics.csv')}",
        "--data.complexity_column=complexity",
        "--data.max_length=16",
        "--data.batch_size=16",
        "--data.min_steps_per_epoch=1",
        "--model.learning_rate=0.01",
        "--trainer.max_epochs=2",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        "--trainer.precision=32-true",
        "--trainer.accelerator=cpu",
    ]


@pytest.fixture(scope="module")
def teacher(runs: Path, common: list[str], tiny_backbone: Path) -> Path:
    """Train and export a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lightning_modules"])
        cli.main(
            ["fit", "--config=configs/intent.yaml", "--name=teacher", f"--model.backbone={tiny_backbone}", *common]
        )
    return runs / "teacher"


@pytest.fixture(scope="module")
def arguments(common: list[str], teacher: Path) -> Arguments:
    def build(*more: str) -> list[str]:
        student_options = [f"--model.teacher={teacher}", "--model.student_layers=1"]
        return ["--config=configs/student.yaml", *common, *student_options, *more]

    return build


@pytest.fixture(scope="module")
def student(arguments: Arguments, runs: Path) -> Path:
    """Return the run folder of two students, of which the second was stopped in its second epoch and resumed."""

    class Stop(Exception):
        pass

    epochs: list[tuple[str, int]] = []
    stop = True

    def note(self: Any, trainer: Any, module: Any) -> None:
        epochs.append((Path(trainer.default_root_dir).name, trainer.current_epoch))
        if stop and epochs[-1] == ("distilled-0", 1):
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lightning_modules"])
        patch.setattr("lightning_modules.callbacks.history.History.on_train_epoch_start", note, raising=False)
        with pytest.raises(Stop):
            cli.main(["distil", *arguments("--seeds", "0")])
        assert epochs == [("baseline-0", 0), ("baseline-0", 1), ("distilled-0", 0), ("distilled-0", 1)]
        stop = False
        epochs.clear()
        cli.main(["distil", *arguments("--seeds", "0")])
        assert epochs == [("distilled-0", 1)]  # completed epochs are not trained again
    return runs / "student"


def test_distil_compares_teacher_and_students_and_delivers_an_archive(student: Path, runs: Path) -> None:
    comparison = json.loads((student / "report" / "comparison.json").read_text())
    models = {(row["model"], row["form"]): row for row in comparison["models"]}
    kinds = [(model, form) for model in ("teacher", "baseline", "distilled") for form in ("fp32", "int8")]
    assert list(models) == kinds
    assert all(0 <= row["macro_f1"] <= 1 and row["rows_per_second"] > 0 for row in models.values())
    assert models["distilled", "fp32"]["parameters"] == models["baseline", "fp32"]["parameters"]
    assert models["distilled", "fp32"]["parameters"] < models["teacher", "fp32"]["parameters"]
    assert models["distilled", "int8"]["size_mb"] < models["distilled", "fp32"]["size_mb"]
    metrics = json.loads((student / "report" / "metrics.json").read_text())
    assert models["distilled", "fp32"]["accuracy"] == pytest.approx(metrics["accuracy"])
    assert Image.open(student / "report" / "comparison.png").width > 300
    assert "Distilled above baseline" in Page((student / "report" / "comparison.html").read_text()).text

    metadata = json.loads((student / "export" / "metadata.json").read_text())
    assert (metadata["name"], metadata["labels"]) == ("student", sorted(TOPICS))
    assert not list(student.glob("students/*/checkpoints"))
    verify_archive(build_archive("student", runs, runs / "store"))


def test_a_student_has_to_be_trained_anew_when_its_settings_its_rows_or_its_teacher_change(
    arguments: Arguments, teacher: Path, tmp_path: Path
) -> None:
    known = load_checkpoint(str(teacher))

    def key(*more: str, kind: str = "distilled", asked: str = "") -> str:
        return student_key(
            make_student(arguments(*more), kind, 0, tmp_path), load_checkpoint(asked) if asked else known
        )

    assert key() == key("--seeds", "0", "1", "2") == key("--mlflow=false")
    other = write_tiny_teacher(tmp_path / "other", sorted(TOPICS), tiny_network(), tiny_tokenizer().to_str())
    file = write_topics(tmp_path / "topics.csv")
    file.write_text(file.read_text().replace("rain", "hail"))
    # the baseline's alpha is 1, whatever the distilled student's is
    assert key(kind="baseline") == key("--model.alpha=0.7", kind="baseline")
    changed = [key("--model.alpha=0.7"), key(asked=str(other)), key(f"--data.train_file={file}")]
    assert len({key(), *changed}) == 4


def test_both_kinds_start_alike_with_one_seed_and_differently_with_another(
    arguments: Arguments, tmp_path: Path
) -> None:
    heads, orders = [], []
    for kind, seed in (("baseline", 0), ("distilled", 0), ("distilled", 1)):
        made = make_student(arguments(), kind, seed, tmp_path)
        heads.append(made.model.network.head.weight.tolist())
        orders.append(list(made.datamodule.train_dataloader().sampler))
    for values in (heads, orders):
        assert values[0] == values[1] != values[2]


def test_a_missed_gate_exits_with_1_and_leaves_the_earlier_export(student: Path, arguments: Arguments) -> None:
    record, export = student / "students" / "distilled-0" / "student.json", student / "export"
    passed, before = record.read_text(), (export / "metadata.json").read_text()
    record.write_text(json.dumps({**json.loads(passed), "missed": ["accuracy 0.5 is too low"]}))
    try:
        with pytest.raises(SystemExit) as caught:
            cli.main(["distil", *arguments("--seeds", "0")])
    finally:
        record.write_text(passed)
    # Python prints a text given as exit code, and exits with 1.
    assert caught.value.code == f"gate: accuracy 0.5 is too low; {export} is still an earlier run's"
    assert (export / "metadata.json").read_text() == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model.teacher=runs/never-trained"], "train it first, make train TASK=never-trained"),
        (["--model.student_layers=3"], "3 layers are to be kept of a backbone that has 2: give 1 to 2"),
        (["--data.label_column=complexity"], "only the data: high, low; only it: food, sport, weather"),
        (["--model.alpha=2"], "model.alpha is 2"),
    ],
)
def test_a_wrong_setting_is_reported_in_one_line(
    arguments: Arguments, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_one_line_error(["fit", *arguments("--trainer.fast_dev_run=1", *more)], message, capsys)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--seeds", "1", "1"], "seeds are [1, 1]: give one or more, each once"),
        (
            ["--model=lightning_modules.models.classifier.Classifier"],
            "distil trains lightning_modules.distillation.distiller.Distiller",
        ),
    ],
)
def test_an_invalid_distillation_is_reported(
    arguments: Arguments, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_one_line_error(["distil", *arguments(*more)], message, capsys)


def assert_one_line_error(command: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(command)
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors
