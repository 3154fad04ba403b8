"""Teachers for distillation: classifier runs of this project, and checkpoints with a sequence-classification head."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from lightning_modules.errors import UserError
from lightning_modules.export import files, int8
from lightning_modules.export.reading import export_folder, load_classifier
from lightning_modules.labels import label_difference
from lightning_modules.models.network import Network
from lightning_modules.pretrained import load_pretrained, load_tokenizer_json
from lightning_modules.settings import Export
from lightning_modules.text_files import read_json


class PretrainedClassifier(Network):
    """A transformers model for sequence classification as a network of this project; in eval mode."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model.float().eval()

    @property
    def encoder(self) -> PreTrainedModel:  # type: ignore[override]  # it is a part of the model
        return self.model.base_model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        return {"logits": self.model(input_ids=input_ids, attention_mask=attention_mask).logits}


@dataclass(frozen=True)
class Teacher:
    """`network` answers `logits` [rows, labels] in the order of `labels`, frozen; `settings` say how it is built."""

    name: str
    network: Network
    labels: tuple[str, ...]
    tokenizer_json: str
    settings: str

    def columns(self, labels: Sequence[str]) -> list[int]:
        """Where the logits of `labels` stand. Raises `UserError` unless the teacher has these labels and no others."""
        if difference := label_difference("the data", labels, "it", self.labels):
            raise UserError(f"the teacher {self.name} has other labels than the data ({difference})")
        return [self.labels.index(label) for label in labels]

    def digest(self) -> str:
        """sha256 of the weights and of what else the answers depend on."""
        digest = hashlib.sha256(json.dumps([self.settings, self.labels, self.tokenizer_json]).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()


def load_teacher(name: str) -> Teacher:
    """The teacher of a run (`runs/intent`), of an exported folder, a local folder in hub layout, or a hub name."""
    folder = _export_of(name)
    teacher = _from_checkpoint(name) if folder is None else _from_export(name, folder)
    teacher.network.requires_grad_(False)
    return teacher


def encoder_of(name: str) -> str:
    """The backbone that is a teacher's encoder."""
    folder = _export_of(name)
    return name if folder is None else str(folder / "hf")


def teacher_export(teacher: Teacher, folder: Path, max_length: int) -> Path:
    """The exported folder that a teacher came from; a checkpoint is exported into `folder`, anew at every call."""
    known = _export_of(teacher.name)
    if known is not None:
        return known
    network = teacher.network
    assert isinstance(network, PretrainedClassifier)
    shutil.rmtree(folder, ignore_errors=True)
    network.cpu().model.save_pretrained(folder / "hf")
    files.write_onnx(network, folder / files.FP32, Export().opset)
    int8.write_int8(folder / files.FP32, folder / files.INT8, "per_token")
    files.write_labels(folder, teacher.labels, ())
    (folder / "tokenizer.json").write_text(teacher.tokenizer_json, encoding="utf-8")
    length = {"max_length": rows_length(network, max_length)}
    files.write_metadata(
        folder,
        files.facts(name=folder.name, version="1.0", task="text-classification", backbone=teacher.name, of_task=length),
    )
    return folder


def rows_length(network: Network, wanted: int) -> int:
    """`wanted` tokens, or as many as the network reads."""
    return min(wanted, getattr(network.encoder.config, "max_position_embeddings", wanted))


def _export_of(name: str) -> Path | None:
    """The exported folder; None: a checkpoint of transformers. Raises `UserError` where a run has no export yet."""
    path = Path(name).expanduser()
    folder = export_folder(path)
    if folder is not None or (path / "config.json").is_file():
        return folder
    # A hub name has one slash as well; runs/ is where this project's own models are.
    if path.is_dir() or name.startswith(("runs/", ".", "/", "~")):
        raise UserError(f"the teacher {name} has no exported model: train it first, make train TASK={path.name}")
    return None


def _from_export(name: str, folder: Path) -> Teacher:
    facts = read_json(folder / "metadata.json")
    if facts["task"] != "text-classification":
        raise UserError(f"the teacher {name} is a model for {facts['task']}: give a classifier")
    return Teacher(
        name,
        load_classifier(folder),
        tuple(facts["labels"]),
        (folder / "tokenizer.json").read_text(encoding="utf-8"),
        json.dumps([facts["pooling"], facts["layer_norm"]]),
    )


def _from_checkpoint(name: str) -> Teacher:
    model = load_pretrained(name, AutoModelForSequenceClassification, "teacher", "a run, such as runs/intent")
    if not any(kind.endswith("ForSequenceClassification") for kind in model.config.architectures or []):
        raise UserError(f"the teacher {name} has no trained head for sequence classification: fine-tune it first")
    labels = tuple(str(model.config.id2label[i]) for i in range(model.config.num_labels))
    return Teacher(name, PretrainedClassifier(model), labels, load_tokenizer_json(name), model.config.to_json_string())
