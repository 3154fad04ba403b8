"""Test which model a worker serves: INT8 where it answers as at export, else fp32, else none."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handlers.fallback import SPARE_MISMATCHES, allowed_mismatches, load_checked
from handlers.golden import answer_mismatch
from handlers.pipelines.base import Pipeline
from handlers.pipelines.classification import ClassificationPipeline
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from tests.support.spoiled import lose_numbers, shuffle_weights

INT8, FP32 = "model_int8.onnx", "model.onnx"
Golden = list[dict[str, Any]]


@pytest.fixture(params=[("tiny_export", ClassificationPipeline), ("tiny_qa_export", QuestionAnsweringPipeline)])
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, type[Pipeline]]:
    """Return an exported folder of each task, which the test may change, and its pipeline."""
    name, task = request.param
    return shutil.copytree(request.getfixturevalue(name), tmp_path / "export"), task


@pytest.fixture
def folder(tiny_export: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_export, tmp_path / "export")


def read(folder: Path) -> Golden:
    golden: Golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    return golden


def write(folder: Path, golden: Golden) -> None:
    (folder / "golden.json").write_text(json.dumps(golden), encoding="utf-8")


def alter_fp32(folder: Path, rows: int) -> None:
    """Shift the fp32 scores of this many golden answers that did not differ from INT8 at export."""
    golden = read(folder)
    same = [pair for pair in golden if answer_mismatch(pair["response"], pair["fp32"]) is None]
    assert len(same) >= rows
    for pair in same[:rows]:
        pair["fp32"]["score"] += 0.1
    write(folder, golden)


def test_int8_that_answers_as_at_export_stays(
    exported: tuple[Path, type[Pipeline]], caplog: pytest.LogCaptureFixture
) -> None:
    folder, task = exported
    pipeline, file = load_checked(task, folder, model_file=INT8)
    assert file == INT8
    assert [pipeline.predict([pair["request"]])[0] for pair in read(folder)] == [
        pair["response"] for pair in read(folder)
    ]
    assert not caplog.records


@pytest.mark.filterwarnings("ignore:invalid value")  # numpy warns of NaN
@pytest.mark.parametrize("spoil", [shuffle_weights, lose_numbers])
def test_where_int8_is_wrong_fp32_serves_and_one_warning_says_so(
    exported: tuple[Path, type[Pipeline]],
    spoil: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder, task = exported
    spoil(folder / INT8)
    pipeline, file = load_checked(task, folder, model_file=INT8)
    assert file == FP32
    assert [pipeline.predict([pair["request"]])[0] for pair in read(folder)] == [pair["fp32"] for pair in read(folder)]
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    count = len(read(folder))
    assert f"{INT8} answers {count} of {count} golden requests unlike fp32 at export" in record.getMessage()
    assert "golden.json[0]: " in record.getMessage()


@pytest.mark.parametrize("file", [FP32, INT8])
def test_one_more_mismatch_than_at_export_is_allowed(folder: Path, file: str) -> None:
    shutil.copy(folder / FP32, folder / INT8)
    golden = read(folder)
    golden[0]["fp32"]["score"] += 0.1
    write(folder, [pair | {"response": pair["fp32"]} for pair in golden])
    assert load_checked(ClassificationPipeline, folder, model_file=file)[1] == file


def test_answers_that_differed_at_export_do_not_count(folder: Path) -> None:
    alter_fp32(folder, 5)
    assert load_checked(ClassificationPipeline, folder, model_file=INT8)[1] == INT8


def test_the_allowance_for_chance_grows_with_the_answers_that_differed_at_export() -> None:
    assert [allowed_mismatches(count) for count in (0, 1, 4, 8, 14)] == [1, 3, 7, 11, 18]


def test_where_fp32_is_wrong_too_nothing_is_served(folder: Path) -> None:
    shuffle_weights(folder / INT8)
    alter_fp32(folder, SPARE_MISMATCHES + 1)
    with pytest.raises(ValueError, match=rf"does not work on this machine \({FP32} answers 2 of 10 golden .* than 1;"):
        load_checked(ClassificationPipeline, folder, model_file=INT8)


def test_fp32_by_choice_has_to_give_the_answers_of_fp32(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    shuffle_weights(folder / INT8)
    assert load_checked(ClassificationPipeline, folder, model_file=FP32)[1] == FP32
    assert not caplog.records
    shuffle_weights(folder / FP32)
    with pytest.raises(ValueError, match="export the model again"):
        load_checked(ClassificationPipeline, folder, model_file=FP32)


def test_an_export_without_fp32_answers_is_refused(folder: Path) -> None:
    write(folder, [{"request": pair["request"], "response": pair["response"]} for pair in read(folder)])
    with pytest.raises(ValueError, match=r"golden\.json has no answers of fp32: export the model again"):
        load_checked(ClassificationPipeline, folder, model_file=INT8)
