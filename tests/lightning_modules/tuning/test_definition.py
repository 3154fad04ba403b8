"""What a study searches for: with other rows, settings or another teacher it is another study."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lightning_modules import cli
from lightning_modules.tuning.definition import study_definition
from lightning_modules.tuning.tune import parse_settings
from tests.support.tiny_teacher import tiny_network, write_tiny_teacher
from tests.support.topics import TOPICS, topics_options, write_topics

PRINT_DATA = """
import json, sys
from lightning_modules.tuning.tune import parse_settings
from lightning_modules.tuning.definition import study_definition
print(json.dumps(study_definition(*parse_settings(sys.argv[1:]))["data"]))
"""


def test_the_goal_is_of_rows_and_settings_and_not_of_where_they_are_or_what_is_searched(
    tmp_path: Path, arguments: Any, files: dict[str, Path]
) -> None:
    settings, search = parse_settings(arguments("tune")[1:])

    def definition(**values: Any) -> dict[str, Any]:
        """With other settings, by their dotted names with __ for a dot."""
        other = settings.clone()
        for name, value in values.items():
            other[name.replace("__", ".")] = value
        return study_definition(other, search)

    first = definition()
    copy = tmp_path / "copy.csv"
    copy.write_text(files["data"].read_text())
    assert (
        definition(data__init_args__train_file=str(copy), runs_dir="elsewhere", trainer__precision="64-true") == first
    )
    assert definition(data__init_args__batch_size=32, trainer__max_epochs=1) == first  # they are searched

    def changed(**values: Any) -> set[str]:
        other = definition(**values)
        names = {name for name in first["settings"] if other["settings"][name] != first["settings"][name]}
        return names | {key for key in ("space", "monitor", "mode", "data") if other[key] != first[key]}

    assert changed(data__init_args__seed=1) == {"data", "data.init_args.seed"}
    assert changed(data__init_args__max_length=8) == {"data", "data.init_args.max_length"}
    assert changed(model__init_args__pooling="cls") == {"model.init_args.pooling"}
    assert changed(seed_everything=1) == {"seed_everything"}
    assert changed(trainer__gradient_clip_val=0.5) == {"trainer.gradient_clip_val"}
    # Another process gives the rows the same name.
    told = subprocess.run(
        [sys.executable, "-c", PRINT_DATA, *arguments("tune")[1:]], capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout.splitlines()[-1]) == first["data"]


def test_a_finished_search_is_not_taken_for_that_of_other_rows(
    tmp_path: Path, arguments: Any, tiny_backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_topics(tmp_path / "own.csv")
    build = partial(arguments, "tune", "--trials=1", f"--data.train_file={data}", "--trainer.limit_train_batches=2")
    cli.main(build())
    cli.main(build())  # all is done
    data.write_text(data.read_text().replace("rain", "hail"))
    with pytest.raises(SystemExit):
        cli.main(build())
    assert "'topics' was started with another data: give another --name" in capsys.readouterr().err
    cli.main(build("--anew"))
    trials = json.loads((tmp_path / "topics" / "tune" / "trials.json").read_text())["trials"]
    assert [trial["number"] for trial in trials] == [0]


def test_a_students_search_is_not_taken_for_that_of_another_teacher(
    tmp_path: Path, files: dict[str, Path], tiny_backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def search(*more: str) -> None:
        options = topics_options(tmp_path, tiny_backbone, files["data"])
        student = ["--config=configs/student.yaml", *options, f"--model.teacher={teacher}", "--model.student_layers=1"]
        cli.main(["tune", *student, "--trials=1", "--trainer.limit_train_batches=2", *more])

    teacher = tmp_path / "teacher"
    tokenizer = (tiny_backbone / "tokenizer.json").read_text()
    network = tiny_network(layers=2)
    write_tiny_teacher(teacher / "export", tuple(TOPICS), network, tokenizer)
    search()
    best = yaml.safe_load((tmp_path / "topics" / "tune" / "best.yaml").read_text())
    assert {"alpha", "temperature", "learning_rate"} <= set(best["model"]["init_args"])
    torch.nn.init.zeros_(next(network.parameters()))
    write_tiny_teacher(teacher / "export", tuple(TOPICS), network, tokenizer)
    with pytest.raises(SystemExit):
        search()
    assert "'topics' was started with another teacher: give another --name" in capsys.readouterr().err
    search("--anew")
