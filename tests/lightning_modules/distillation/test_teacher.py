"""Test how teachers are loaded by name, and how their logits are cached on disk."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from handlers.text.tokenization import TextTokenizer
from lightning_modules.comparison.measurements import quality_on_test
from lightning_modules.data.classification import ClassificationData
from lightning_modules.distillation import teacher_logits
from lightning_modules.distillation.teacher_logits import cached_logits, label_columns, logits_path
from lightning_modules.errors import UserError
from lightning_modules.export.checkpoints import Checkpoint, encoder_of, export_checkpoint, load_checkpoint, parameters
from lightning_modules.export.parity import torch_outputs
from tests.support.tiny_export import tiny_tokenizer
from tests.support.tiny_teacher import tiny_network, write_tiny_teacher
from tests.support.topics import TOPICS, write_topics

# This order differs from that of the data, which is sorted.
LABELS = ("weather", "sport", "food")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> ClassificationData:
    file = write_topics(tmp_path_factory.mktemp("data") / "topics.csv")
    return ClassificationData(train_file=str(file), backbone=str(tiny_backbone), max_length=16)


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, default_root_dir=tmp_path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(teacher_logits.datasets.config, "HF_DATASETS_CACHE", tmp_path)
    return tmp_path / "teacher_logits"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run folder with an export."""
    folder = tmp_path_factory.mktemp("run")
    write_tiny_teacher(folder / "export", LABELS, tiny_network(), tiny_tokenizer().to_str())
    return folder


def write_checkpoint(folder: Path, labels: tuple[str, ...] = LABELS) -> Path:
    """Write a model as transformers saves a fine-tuned one to a local folder in hub layout."""
    torch.manual_seed(1)
    sizes = {"max_position_embeddings": 64, "dim": 16, "hidden_dim": 32, "n_layers": 1, "n_heads": 2}
    tokenizer = tiny_tokenizer()
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    config = DistilBertConfig(vocab_size=tokenizer.get_vocab_size(), **sizes, **names)
    DistilBertForSequenceClassification(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


def fresh(teacher: Checkpoint, data: ClassificationData) -> np.ndarray:
    """Return the teacher's current logits in the order of the data."""
    texts = list(data.splits["train"].rows["text"])
    rows = [row.ids for row in TextTokenizer(teacher.tokenizer_json, data.max_length).tokenize(texts)]
    answers = np.stack(torch_outputs(teacher.network, rows)["logits"])
    return answers[:, [teacher.labels.index(label) for label in data.labels]]


def shuffled_tokenizer() -> str:
    """Return a tokenizer with the same words and other ids; special tokens have the same ids."""
    content = json.loads(tiny_tokenizer().to_str())
    vocabulary = content["model"]["vocab"]
    words = [word for word in vocabulary if not word.startswith("[")]
    for word, number in zip(words, reversed([vocabulary[word] for word in words]), strict=True):
        vocabulary[word] = number
    return json.dumps(content)


@pytest.mark.parametrize("kind", ["run", "checkpoint", "other tokenizer"])
def test_the_cached_logits_equal_those_of_the_teacher_in_the_order_of_the_data(
    kind: str, run: Path, data: ClassificationData, trainer: Trainer, cache: Path, tmp_path: Path
) -> None:
    if kind == "checkpoint":
        run = write_checkpoint(tmp_path / "hub")
    if kind == "other tokenizer":
        run = write_tiny_teacher(tmp_path / "other", LABELS, tiny_network(), shuffled_tokenizer())
    teacher = load_checkpoint(str(run))
    cached = cached_logits(trainer, teacher, data)
    assert isinstance(cached, np.memmap)
    assert cached.dtype == np.float16
    np.testing.assert_allclose(cached, fresh(teacher, data), atol=2e-3)


def test_the_teacher_predicts_once(
    run: Path, data: ClassificationData, trainer: Trainer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = load_checkpoint(str(run))
    first = cached_logits(trainer, teacher, data)

    def refuse(*arguments: Any) -> None:
        raise AssertionError("the teacher was asked again")

    monkeypatch.setattr(type(teacher.network), "forward", refuse)
    assert np.array_equal(cached_logits(trainer, load_checkpoint(str(run)), data), first)


def test_a_teacher_that_is_interrupted_leaves_no_file(
    run: Path, data: ClassificationData, trainer: Trainer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = load_checkpoint(str(run))
    forward, calls = type(teacher.network).forward, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return forward(*arguments)

    monkeypatch.setattr(type(teacher.network), "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cached_logits(trainer, teacher, data)
    assert list(cache.iterdir()) == []


def test_the_file_name_depends_on_everything_that_determines_the_logits(run: Path, tmp_path: Path) -> None:
    teacher = load_checkpoint(str(run))
    changed = tiny_network()
    with torch.no_grad():
        changed.head.bias[0] += 1e-3
    weights = write_tiny_teacher(tmp_path / "weights", LABELS, changed, tiny_tokenizer().to_str())
    tokenizer = write_tiny_teacher(tmp_path / "tokenizer", LABELS, tiny_network(), shuffled_tokenizer())
    usual: tuple[Any, ...] = (teacher, LABELS, ["rain", "sun"], 16, "32-true")
    others = [
        (load_checkpoint(str(weights)), *usual[1:]),
        (load_checkpoint(str(tokenizer)), *usual[1:]),
        (teacher, LABELS[::-1], *usual[2:]),
        (teacher, LABELS, ["rain", "wind"], *usual[3:]),
        (teacher, LABELS, ["rain,sun"], *usual[3:]),
        (*usual[:3], 12, "32-true"),
        (*usual[:4], "bf16-mixed"),
    ]
    names = {logits_path(*arguments).name for arguments in [usual, *others]}
    assert len(names) == 1 + len(others)
    copy = write_tiny_teacher(tmp_path / "copy", LABELS, tiny_network(), tiny_tokenizer().to_str())
    assert logits_path(load_checkpoint(str(copy)), *usual[1:]) == logits_path(*usual)


def test_a_checkpoint_is_exported_for_the_comparison_and_answers_by_label_names(
    data: ClassificationData, tmp_path: Path
) -> None:
    teacher = load_checkpoint(str(write_checkpoint(tmp_path / "hub")))
    folder = export_checkpoint(teacher, tmp_path / "teacher", data.max_length)
    assert parameters(folder) == sum(parameter.numel() for parameter in teacher.network.parameters())
    test = data.splits["test"].rows
    rows = [row.ids for row in TextTokenizer(teacher.tokenizer_json, 16).tokenize(list(test["text"]))]
    answers = [LABELS[logits.argmax()] for logits in torch_outputs(teacher.network, rows)["logits"]]
    right = np.mean([answer == label for answer, label in zip(answers, test["label"], strict=True)])
    assert quality_on_test(folder, data)["fp32"]["accuracy"] == pytest.approx(right)


def test_the_teachers_encoder_is_the_students_backbone(run: Path, tmp_path: Path) -> None:
    assert encoder_of(str(run)) == encoder_of(str(run / "export")) == str(run / "export" / "hf")
    assert encoder_of(str(write_checkpoint(tmp_path))) == str(tmp_path)


def test_other_labels_are_reported_with_their_differences(run: Path) -> None:
    teacher = load_checkpoint(str(run))
    assert label_columns(teacher, sorted(TOPICS)) == [2, 1, 0]
    with pytest.raises(UserError, match=r"\(only the data: music; only it: sport, weather\)"):
        label_columns(teacher, ["food", "music"])


@pytest.mark.parametrize("name", ["runs/never-trained", "/nowhere/run"])
def test_a_teacher_that_is_not_trained_is_reported_with_what_to_do(name: str) -> None:
    with pytest.raises(UserError, match=f"train it first, make train TASK={Path(name).name}"):
        load_checkpoint(name)


def test_a_run_without_an_export_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no exported model"):
        load_checkpoint(str(tmp_path))


def test_a_checkpoint_without_a_head_is_no_teacher(tiny_backbone: Path) -> None:
    with pytest.raises(UserError, match="has no trained head for sequence classification"):
        load_checkpoint(str(tiny_backbone))


def test_a_model_of_another_task_is_no_teacher(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text(json.dumps({"task": "question-answering"}))
    with pytest.raises(UserError, match="is a model for question-answering: give a classifier"):
        load_checkpoint(str(tmp_path))


def test_a_hub_name_without_network_names_what_else_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"teacher 'no-such-owner/no-such-model' could not be loaded.* a run"):
        load_checkpoint("no-such-owner/no-such-model", "teacher")
