"""Exported models, read back into torch."""

import math
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file

from lightning_modules.models.backbones import load_encoder
from lightning_modules.models.network import TextClassifier
from lightning_modules.text_files import read_json


def export_folder(run: Path) -> Path | None:
    """`<run>/export`, or the folder itself where it is an exported one; None where neither is there."""
    return next((folder for folder in (run / "export", run) if (folder / "metadata.json").is_file()), None)


def load_classifier(folder: Path) -> TextClassifier:
    """The classifier of an exported folder with the weights it was exported with; in fp32, dropout off."""
    facts, names = read_json(folder / "metadata.json"), read_json(folder / "labels.json")
    network = TextClassifier(
        load_encoder(str(folder.resolve() / "hf")),
        len(names["labels"]),
        len(names.get("complexity_labels", [])),
        facts["pooling"],
        facts["layer_norm"],
    )
    heads = load_file(folder / "hf" / "heads.safetensors")
    network.load_state_dict(network.state_dict() | heads)
    return network.eval()


def parameters(folder: Path) -> int:
    """How many weights an exported folder has, heads included; only the files' headers are read."""
    total = 0
    for path in (folder / "hf").glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118  # no mapping
        total += sum(math.prod(shape) for shape in shapes)
    return total
