"""Load trained models: an exported folder of this project, or a transformers checkpoint of a classifier."""

import hashlib
import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from lightning_modules.errors import UserError
from lightning_modules.export import files, int8
from lightning_modules.models.backbones import load_encoder
from lightning_modules.models.network import Network, TextClassifier
from lightning_modules.pretrained import load_pretrained, load_tokenizer_json
from lightning_modules.settings import Export
from lightning_modules.text_files import read_json, write_json


class PretrainedClassifier(Network):
    """A transformers model for sequence classification, wrapped as a network of this project, in eval mode."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model.float().eval()

    @property
    def encoder(self) -> PreTrainedModel:  # type: ignore[override]  # a property, not a module of its own
        return self.model.base_model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        return {"logits": self.model(input_ids=input_ids, attention_mask=attention_mask).logits}


@dataclass(frozen=True)
class Checkpoint:
    """A trained classifier with frozen weights.

    Args:
        name: as the user gave it.
        network: returns `logits` [rows, labels] in the order of `labels`.
        labels: names of the classes.
        tokenizer_json: the text of its `tokenizer.json`.
        settings: JSON of everything besides the weights that the logits depend on.
    """

    name: str
    network: Network
    labels: tuple[str, ...]
    tokenizer_json: str
    settings: str

    def digest(self) -> str:
        """Return the sha256 of the weights and of everything else that the logits depend on."""
        digest = hashlib.sha256(json.dumps([self.settings, self.labels, self.tokenizer_json]).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()


def load_checkpoint(name: str, role: str = "model") -> Checkpoint:
    """Load a run (`runs/intent`), an exported folder, a local folder in hub layout, or a hub repository.

    Args:
        name: a path, or the repository's name on the hub.
        role: what error messages call the model, such as teacher.

    Raises:
        UserError: there is no trained classifier with this name.
    """
    folder = _find_export(name, role)
    checkpoint = _from_hub_layout(name, role) if folder is None else _from_export(name, folder, role)
    checkpoint.network.requires_grad_(False)
    return checkpoint


def encoder_of(name: str, role: str = "model") -> str:
    """Return the backbone name under which the encoder of a checkpoint can be loaded."""
    folder = _find_export(name, role)
    return name if folder is None else str(folder / "hf")


def student_backbone(teacher: str, backbone: str | None) -> str:
    """Return the backbone of a student: its own if it has one, otherwise its teacher's encoder."""
    return encoder_of(teacher, "teacher") if backbone is None else backbone


def export_checkpoint(checkpoint: Checkpoint, folder: Path, max_length: int) -> Path:
    """Return the exported folder of a checkpoint; one in hub layout is exported into `folder` by each call.

    Such an export holds what a comparison needs: both ONNX forms, weights, tokenizer, labels and metadata.
    """
    exported = _find_export(checkpoint.name, "model")
    if exported is not None:
        return exported
    network = checkpoint.network
    assert isinstance(network, PretrainedClassifier)
    shutil.rmtree(folder, ignore_errors=True)
    network.cpu().model.save_pretrained(folder / "hf")
    files.write_onnx(network, folder / files.FP32, Export().opset)
    int8.write_int8(folder / files.FP32, folder / files.INT8, "per_token")
    write_json(folder / "labels.json", {"labels": list(checkpoint.labels)})
    (folder / "tokenizer.json").write_text(checkpoint.tokenizer_json, encoding="utf-8")
    length = {"max_length": limited_length(network, max_length)}
    metadata = files.model_metadata(
        name=folder.name,
        version="1.0",
        task="text-classification",
        backbone=checkpoint.name,
        task_metadata=length,
    )
    files.write_metadata(folder, metadata)
    return folder


def limited_length(network: Network, max_length: int) -> int:
    """Return `max_length`, or the number of the network's positions if that is smaller."""
    return min(max_length, getattr(network.encoder.config, "max_position_embeddings", max_length))


def _find_export(name: str, role: str) -> Path | None:
    """Return the exported folder, or None for a checkpoint in hub layout. Raises `UserError` for a run without one."""
    path = Path(name).expanduser()
    folder = export_folder(path)
    if folder is not None or (path / "config.json").is_file():
        return folder
    # `runs/intent` looks like a hub name, but runs/ has this project's own models.
    if path.is_dir() or name.startswith(("runs/", ".", "/", "~")):
        raise UserError(f"the {role} {name} has no exported model: train it first, make train TASK={path.name}")
    return None


def _from_export(name: str, folder: Path, role: str) -> Checkpoint:
    metadata = read_json(folder / "metadata.json")
    if metadata["task"] != "text-classification":
        raise UserError(f"the {role} {name} is a model for {metadata['task']}: give a classifier")
    return Checkpoint(
        name,
        load_classifier(folder),
        tuple(metadata["labels"]),
        (folder / "tokenizer.json").read_text(encoding="utf-8"),
        json.dumps([metadata["pooling"], metadata["layer_norm"]]),
    )


def _from_hub_layout(name: str, role: str) -> Checkpoint:
    model = load_pretrained(name, AutoModelForSequenceClassification, role, "a run, such as runs/intent")
    if not any(kind.endswith("ForSequenceClassification") for kind in model.config.architectures or []):
        raise UserError(f"the {role} {name} has no trained head for sequence classification: fine-tune it first")
    labels = tuple(str(model.config.id2label[i]) for i in range(model.config.num_labels))
    network = PretrainedClassifier(model)
    return Checkpoint(name, network, labels, load_tokenizer_json(name), model.config.to_json_string())


def export_folder(run: Path) -> Path | None:
    """Return `<run>/export`, or the folder itself if it is an exported one, or None if neither exists."""
    return next((folder for folder in (run / "export", run) if (folder / "metadata.json").is_file()), None)


def load_classifier(folder: Path) -> TextClassifier:
    """Return the classifier of an exported folder with its weights, in fp32 and in eval mode."""
    metadata, names = read_json(folder / "metadata.json"), read_json(folder / "labels.json")
    network = TextClassifier(
        load_encoder(str(folder.resolve() / "hf")),
        len(names["labels"]),
        len(names.get("complexity_labels", [])),
        metadata["pooling"],
        metadata["layer_norm"],
    )
    heads = load_file(folder / "hf" / "heads.safetensors")
    network.load_state_dict(network.state_dict() | heads)
    return network.eval()


def parameters(folder: Path) -> int:
    """Return the number of weights of an exported folder, heads included; only the files' headers are read."""
    total = 0
    for path in (folder / "hf").glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118  # not a mapping
        total += sum(math.prod(shape) for shape in shapes)
    return total
