"""Write a tiny real backbone and a tiny real exported model: two layers, seeded random weights, the real exporter.

It answers in milliseconds, with the fields of a trained export.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import DistilBertConfig, DistilBertModel

from handlers.pipelines.base import Pipeline
from handlers.pipelines.classification import ClassificationPipeline
from lightning_modules.export import files, int8
from lightning_modules.models.network import TextClassifier
from lightning_modules.text_files import write_json

LABELS = ["code_generation", "conversation", "summarization", "translation"]
COMPLEXITY_LABELS = ["low", "medium", "high"]
MAX_LENGTH = 24
SENTENCES = [
    "translate this sentence into french",
    "write a python function that sorts a list",
    "summarize the following article in three sentences",
    "hello, how are you today?",
    "what is the capital of australia",
    "refactor this class and add unit tests for every method",
    "give me the key points of this report",
    "how do you say good morning in japanese",
    "nice weather, is it not",
    "the quick brown fox jumps over the lazy dog, again and again, until the sun goes down",
]


def tiny_encoder(vocabulary: int, layers: int = 2, width: int = 32) -> DistilBertModel:
    """Return an encoder with seeded random weights."""
    torch.manual_seed(0)
    return DistilBertModel(
        DistilBertConfig(
            vocab_size=vocabulary, max_position_embeddings=64, dim=width, hidden_dim=64, n_layers=layers, n_heads=2
        )
    )


def write_tiny_backbone(folder: Path) -> Path:
    """Write a folder that looks like a hub snapshot: config, weights, tokenizer."""
    tokenizer = tiny_tokenizer()
    encoder = tiny_encoder(tokenizer.get_vocab_size())
    files.write_hf(TextClassifier(encoder, labels=2), tokenizer.to_str(), folder, max_length=64)
    (folder / "tokenizer.json").write_text(tokenizer.to_str())  # a hub tokenizer may have stored lengths, ours has none
    (folder / "heads.safetensors").unlink()
    return folder


def write_tiny_export(folder: Path, *, name: str = "tiny", complexity: bool = True) -> Path:
    """Write an exported folder, as `runs/<name>/export` is, and return it."""
    folder.mkdir(parents=True)
    tokenizer = tiny_tokenizer()
    levels = COMPLEXITY_LABELS if complexity else []
    network = TextClassifier(tiny_encoder(tokenizer.get_vocab_size()), len(LABELS), len(levels))
    for head in (network.head, network.complexity_head):
        if head is not None:
            nn.init.normal_(head.weight, std=1.5)  # widely spread weights, so that answers differ
    files.write_model(folder, network, tokenizer.to_str(), max_length=MAX_LENGTH, opset=18)
    int8.write_int8(folder / files.FP32, folder / files.INT8, "per_token")
    labels = {"labels": LABELS} | ({"complexity_labels": levels} if complexity else {})
    write_json(folder / "labels.json", labels)
    task_metadata = {"max_length": MAX_LENGTH, "labels": LABELS}
    requests = [{"text": sentence} for sentence in SENTENCES]
    return finish_tiny_export(folder, name, "text-classification", task_metadata, ClassificationPipeline, requests)


def finish_tiny_export(
    folder: Path,
    name: str,
    task: str,
    task_metadata: dict[str, Any],
    pipeline_class: type[Pipeline],
    requests: Any,
) -> Path:
    """Add the golden requests and the metadata."""
    metadata = files.model_metadata(name=name, version="1.0", task=task, backbone="random", task_metadata=task_metadata)
    metadata["created"] = "2024-01-02T03:04:05+00:00"
    files.write_metadata(folder, metadata)
    files.write_golden(folder, pipeline_class, requests)
    files.write_metadata(folder, metadata)
    return folder


def tiny_tokenizer() -> Tokenizer:
    """Return a WordPiece of the sentences' words and of single characters, with a stored padding to be switched off."""
    words = sorted({word for sentence in SENTENCES for word in re.findall(r"\w+|[^\w\s]", sentence.lower())})
    pieces = [prefix + character for character in "abcdefghijklmnopqrstuvwxyz0123456789" for prefix in ("", "##")]
    names = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *pieces, *words])
    tokenizer = Tokenizer(WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=64)
    tokenizer.enable_truncation(8)
    return tokenizer
