"""Question answering on a tiny backbone: the loss, and a whole run from file to archive."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from archives.build import build_archive
from archives.squad_metric import exact_match
from archives.verify import verify_archive
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from lightning_modules.evaluation.calibration import calibration_bins, expected_calibration_error
from lightning_modules.models.question_answering import QuestionAnswering
from tests.support.question_data import write_squad


def test_tokens_outside_the_context_take_no_part_in_the_loss(tiny_backbone: Path) -> None:
    model = QuestionAnswering(backbone=str(tiny_backbone)).eval()
    ids = torch.tensor([[2, 9, 3, 7, 8, 3]])
    allowed = torch.tensor([[True, False, False, True, True, False]])
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "allowed": allowed}
    position = {"start": torch.tensor([3]), "end": torch.tensor([4])}
    with torch.inference_mode():
        loss, logits = model.model_step({**batch, **position})
        outputs = model(ids, batch["attention_mask"])
    probabilities = {name: values[0, [0, 3, 4]].softmax(0) for name, values in outputs.items()}
    expected = -(probabilities["start_logits"][1].log() + probabilities["end_logits"][2].log()) / 2
    torch.testing.assert_close(loss, expected)
    assert (logits["start_logits"][0, [1, 2, 5]] < -1e30).all()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Path:
    """A run on six places, in which validation and test ask what training taught."""
    folder = tmp_path_factory.mktemp("qa")
    file = write_squad(folder / "squad.json", articles=24, words=6)
    arguments = [
        "fit",
        "--config=configs/qa.yaml",
        "--name=places",
        f"--runs_dir={folder}",
        f"--model.backbone={tiny_backbone}",
        "--model.learning_rate=0.01",
        *(f"--data.{part}_file={file}" for part in ("train", "val", "test")),
        "--data.max_length=48",
        "--data.doc_stride=8",
        "--data.max_question_length=12",
        "--data.batch_size=8",
        "--trainer.max_epochs=12",
        "--trainer.accelerator=cpu",
        "--trainer.precision=32-true",
        "--trainer.enable_progress_bar=false",
        "--early_stopping.patience=12",
        "--gate.f1=0.5",
    ]
    command = [sys.executable, "-m", "lightning_modules", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "places"


def test_fit_learns_reports_and_compares_the_forms(run: Path) -> None:
    metrics = json.loads((run / "report" / "metrics.json").read_text())
    assert metrics["f1"] > 0.5
    assert metrics["history"][0]["val_f1"] < metrics["f1"]
    assert [row["form"] for row in metrics["comparison"]] == ["torch", "fp32", "int8"]
    assert metrics["comparison"][1]["agreement"] == 1.0
    assert {"tokens_per_second", "padding_share", "peak_memory_gb"} <= set(metrics["profile"])
    predictions = json.loads((run / "report" / "predictions.json").read_text())
    assert predictions.keys() == {f"{i}-{n}" for i in range(24) for n in range(2)}


@pytest.fixture(scope="module")
def served(run: Path) -> dict[str, dict[str, Any]]:
    """What the exported pipeline answers to every question, by its id."""
    pipeline = QuestionAnsweringPipeline.load(run / "export", model_file="model.onnx")
    squad = json.loads((run.parent / "squad.json").read_text())
    paragraphs = [paragraph for article in squad["data"] for paragraph in article["paragraphs"]]
    asked = [(qa["id"], {"question": qa["question"], "context": p["context"]}) for p in paragraphs for qa in p["qas"]]
    return dict(zip((name for name, _ in asked), pipeline.predict([request for _, request in asked]), strict=True))


def test_the_exported_pipeline_gives_the_reported_answers(run: Path, served: dict[str, dict[str, Any]]) -> None:
    predictions = json.loads((run / "report" / "predictions.json").read_text())
    assert {name: answer["answer"] for name, answer in served.items()} == predictions


def test_the_exported_pipeline_gives_scores_of_the_fitted_temperature(
    run: Path, served: dict[str, dict[str, Any]]
) -> None:
    metrics = json.loads((run / "report" / "metrics.json").read_text())
    calibration = metrics["calibration"]
    assert calibration["questions"] == 48
    assert calibration["temperature"] == json.loads((run / "export" / "metadata.json").read_text())["temperature"]
    squad = json.loads((run.parent / "squad.json").read_text())
    qas = [qa for article in squad["data"] for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
    right = [exact_match(served[qa["id"]]["answer"], [one["text"] for one in qa["answers"]]) == 1 for qa in qas]
    bins = calibration_bins(np.array([served[qa["id"]]["score"] for qa in qas]), np.array(right))
    assert expected_calibration_error(bins) == pytest.approx(metrics["expected_calibration_error"], abs=1e-3)
    assert calibration["expected_calibration_error_before"] != metrics["expected_calibration_error"]


def test_transformers_loads_the_export_and_marks_the_same_span(run: Path) -> None:
    hf = run / "export" / "hf"
    model, tokenizer = AutoModelForQuestionAnswering.from_pretrained(hf), AutoTokenizer.from_pretrained(hf)
    question, context = "which place is it?", "oslo lies by the river 1. it is the capital of a country."
    encoded = tokenizer(question, context, return_tensors="pt")
    with torch.inference_mode():
        outputs = model(**encoded)
    pipeline = QuestionAnsweringPipeline.load(run / "export", model_file="model.onnx")
    logits, _ = pipeline.run([encoded["input_ids"][0].tolist()])
    torch.testing.assert_close(outputs.start_logits[0], torch.tensor(logits["start_logits"][0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(outputs.end_logits[0], torch.tensor(logits["end_logits"][0]), atol=1e-4, rtol=0)


def test_the_export_makes_an_archive_that_answers(run: Path, tmp_path: Path) -> None:
    verify_archive(build_archive("places", run.parent, tmp_path / "store"))
