"""Test `compare` on tiny real exports and checkpoints: the rows, the metrics, and models that do not match."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

from archives import squad_metric as answer_metric
from handlers.pipelines.classification import ClassificationPipeline
from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from lightning_modules import cli
from lightning_modules.skipping import skip
from tests.support.report_page import Page
from tests.support.tiny_export import LABELS, SENTENCES, tiny_tokenizer
from tests.support.tiny_qa_export import CONTEXT
from tests.support.topics import topics_options

Rows = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture
def runs(tmp_path: Path, tiny_export: Path, tiny_qa_export: Path) -> Path:
    """Make runs: `one` and `two` classify, `qa` and `qa2` answer questions, `unfinished` has no export."""
    folder = tmp_path / "runs"
    for name, export in (("one", tiny_export), ("two", tiny_export), ("qa", tiny_qa_export), ("qa2", tiny_qa_export)):
        shutil.copytree(export, folder / name / "export")
    (folder / "unfinished" / "checkpoints").mkdir(parents=True)
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Write a file of 40 texts under the header `question,kind`."""
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "kind"])
        writer.writerows([f"{SENTENCES[i % 10]} {i}", LABELS[i % 4]] for i in range(40))
    return path


@pytest.fixture
def compare(runs: Path) -> Callable[..., Rows]:
    """Compare models and return the table by model and form."""

    def run(*arguments: str) -> Rows:
        cli.main(["compare", f"--runs_dir={runs}", "--models", *arguments])
        written = json.loads((runs / "comparison" / "comparison.json").read_text())
        return {(row["model"], row["form"]): row for row in written["models"]}

    return run


def write_deberta(folder: Path, labels: list[str]) -> Path:
    """Write a tiny DeBERTa-v3 that classifies to a local folder in hub layout."""
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    config = DebertaV2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        relative_attention=True,
        position_buckets=16,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        type_vocab_size=0,
        position_biased_input=False,
        initializer_range=1.0,  # widely spread weights, so that answers differ
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    DebertaV2ForSequenceClassification(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


def share_right(folder: Path, rows: Path, model_file: str) -> float:
    """Return the accuracy of the answers that a client gets."""
    with rows.open(newline="") as file:
        content = list(csv.DictReader(file))
    answers = ClassificationPipeline.load(folder, model_file=model_file).predict([row["question"] for row in content])
    return sum(answer["label"] == row["kind"] for answer, row in zip(answers, content, strict=True)) / len(content)


def test_runs_exported_folders_and_a_deberta_are_compared_by_their_answers_to_a_file(
    runs: Path,
    rows: Path,
    compare: Callable[..., Rows],
    tmp_path: Path,
    tiny_export: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deberta = write_deberta(tmp_path / "deberta", LABELS[::-1])
    table = compare(
        "one", str(tiny_export), str(deberta), f"--file={rows}", "--text_column=question", "--label_column=kind"
    )
    assert list(table) == [
        (model, form) for model in ("one", str(tiny_export), str(deberta)) for form in ("fp32", "int8")
    ]
    exported = next((runs / "comparison" / "checkpoints").iterdir())
    for name, folder in (("one", runs / "one" / "export"), (str(deberta), exported)):
        for form, file in (("fp32", "model.onnx"), ("int8", "model_int8.onnx")):
            assert table[name, form]["accuracy"] == pytest.approx(share_right(folder, rows, file))
    assert table["one", "fp32"]["accuracy"] == table[str(tiny_export), "fp32"]["accuracy"]
    assert table["one", "fp32"]["accuracy"] != table[str(deberta), "fp32"]["accuracy"]
    assert all(row["parameters"] > 1000 and row["size_mb"] > 0 and row["rows_per_second"] > 0 for row in table.values())
    output_lines = capsys.readouterr().out.splitlines()
    assert output_lines[0] == f"40 rows: {rows}"
    assert len(output_lines) == 1 + 1 + 6 + 1
    assert "seeds" not in output_lines[1]
    assert Image.open(runs / "comparison" / "comparison.png").width > 300
    assert "40 test rows" in Page((runs / "comparison" / "comparison.html").read_text()).text


def test_without_a_file_the_rows_are_the_test_rows_of_the_first_run(
    runs: Path, rows: Path, compare: Callable[..., Rows], tiny_backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ["--data.text_column=question", "--data.label_column=kind", "--data.test_share=0.2"]
    options = [*topics_options(runs, tiny_backbone, rows), *columns]
    made = cli.SettingsCLI(args=["--config=configs/intent.yaml", *options], run=False)
    cli.write_config(made.parser, made.config, runs / "two")
    table = compare("one", "two")
    assert capsys.readouterr().out.startswith("8 rows: test rows of two\n")
    assert table["one", "int8"]["accuracy"] == table["two", "int8"]["accuracy"]


def test_question_answering_runs_are_compared_by_f1_and_exact_match(
    runs: Path, compare: Callable[..., Rows], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = ["what is the capital of australia?", "is it nice weather?"]
    pipeline = QuestionAnsweringPipeline.load(runs / "qa" / "export", model_file="model.onnx")
    answers = [
        answer["answer"] for answer in pipeline.predict([{"question": q, "context": CONTEXT} for q in questions])
    ]
    references = [answers[0], CONTEXT.split(".")[0]]  # the first answer is right
    file = tmp_path / "questions.jsonl"
    lines = [
        {"id": q, "question": q, "context": CONTEXT, "answers": {"text": [r], "answer_start": [CONTEXT.index(r)]}}
        for q, r in zip(questions, references, strict=True)
    ]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    table = compare("qa", "qa2", f"--file={file}")
    official = answer_metric.evaluate(zip(answers, [[r] for r in references], strict=True))
    assert table["qa2", "fp32"]["f1"] == pytest.approx(official["f1"] / 100)
    assert table["qa2", "fp32"]["exact_match"] == pytest.approx(official["exact_match"] / 100) == 0.5
    assert "exact match, %" in capsys.readouterr().out
    assert "question with its whole context" in Page((runs / "comparison" / "comparison.html").read_text()).text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one"], "give two or more, each once"),
        (["one", "one"], "give two or more, each once"),
        (["one", "two"], "none of the models is a run with a config.yaml, which would name test rows: give --file"),
        (["one", "qa"], "one is a model for text-classification, qa for question-answering"),
        (["one", "unfinished"], "unfinished has no exported model: train it first, make train TASK=unfinished"),
        (["one", "missing"], "missing is no finished run in"),
        (["one", "two", "--file=nowhere.csv"], "data file nowhere.csv does not exist"),
    ],
)
def test_models_that_cannot_be_compared_are_reported(
    arguments: list[str],
    message: str,
    compare: Callable[..., Rows],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SystemExit) as caught:
        compare(*arguments)
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert len(errors.splitlines()) == 1


def test_a_skipped_run_is_left_out_with_the_export_of_an_earlier_one(
    runs: Path, compare: Callable[..., Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    skip(runs / "two", name="two", stage="fit", why="enable is false", metrics=["accuracy"])
    capsys.readouterr()
    cli.main(["compare", f"--runs_dir={runs}", "--models", "one", "two"])
    assert capsys.readouterr().out == "two: skipped: enable is false\n"
    assert not (runs / "comparison").exists()


def test_other_labels_are_reported_with_their_difference(
    runs: Path, rows: Path, compare: Callable[..., Rows], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_deberta(tmp_path / "deberta", [*LABELS[:3], "poetry"])
    with pytest.raises(SystemExit):
        compare("one", str(tmp_path / "deberta"))
    assert f"(only one: translation; only {tmp_path / 'deberta'}: poetry)" in capsys.readouterr().err
    rows.write_text(rows.read_text().replace("translation", "songs"))
    with pytest.raises(SystemExit):
        compare("one", "two", f"--file={rows}", "--text_column=question", "--label_column=kind")
    assert f"{rows}: labels that the models do not know: songs" in capsys.readouterr().err
