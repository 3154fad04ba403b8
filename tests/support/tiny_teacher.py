"""Write an untrained teacher, exported as far as torch needs it."""

import json
from collections.abc import Sequence
from pathlib import Path

from lightning_modules.export import files
from lightning_modules.models.network import TextClassifier
from lightning_modules.text_files import write_json
from tests.support.tiny_export import tiny_encoder, tiny_tokenizer


def tiny_network(layers: int = 6, width: int = 32) -> TextClassifier:
    """Return a network of three labels with seeded random weights, attention pooling and a normalised vector."""
    encoder = tiny_encoder(tiny_tokenizer().get_vocab_size(), layers, width)
    return TextClassifier(encoder, 3, 2, pooling="attention", layer_norm=True).eval()


def write_tiny_teacher(folder: Path, labels: Sequence[str], network: TextClassifier, tokenizer_json: str) -> Path:
    files.write_hf(network, tokenizer_json, folder / "hf", max_length=64)
    write_json(folder / "labels.json", {"labels": list(labels), "complexity_labels": ["low", "high"]})
    metadata = {"task": "text-classification", "labels": labels, "pooling": "attention", "layer_norm": True}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    (folder / "tokenizer.json").write_text(tokenizer_json)
    return folder
