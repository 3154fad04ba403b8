"""A tiny real exported model: a two-layer DistilBERT with seeded random weights, in ONNX and INT8, and its tokenizer.

It answers in milliseconds what a trained export answers, and obeys the same contract.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import WordPieceTrainer
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertModel

from handlers.pipeline import ClassificationPipeline

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


class TinyClassifier(nn.Module):
    """Mean pooling and heads over a random encoder; the heads' weights are wide, for different answers."""

    def __init__(self, vocabulary: int, complexity: bool) -> None:
        super().__init__()
        self.encoder = DistilBertModel(
            DistilBertConfig(
                vocab_size=vocabulary,
                max_position_embeddings=MAX_LENGTH,
                dim=32,
                hidden_dim=64,
                n_layers=2,
                n_heads=2,
                attn_implementation="eager",
            )
        )
        self.heads = nn.ModuleList([nn.Linear(32, len(LABELS))])
        if complexity:
            self.heads.append(nn.Linear(32, len(COMPLEXITY_LABELS)))
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.7)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        return tuple(head(pooled) for head in self.heads)


def write_tiny_export(folder: Path, *, name: str = "tiny", complexity: bool = True) -> Path:
    """Writes the export folder, `runs/<name>/export` by its contract, and returns it."""
    folder.mkdir(parents=True)
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    write_models(folder, tokenizer.get_vocab_size(), complexity)
    labels = {"labels": LABELS} | ({"complexity_labels": COMPLEXITY_LABELS} if complexity else {})
    write_json(folder / "labels.json", labels)
    metadata = {
        "name": name,
        "version": "1.0",
        "task": "text-classification",
        "backbone": "random",
        "max_length": MAX_LENGTH,
        "labels": LABELS,
        "preprocessing": {"max_length": MAX_LENGTH},
        "metrics": {},
        "libraries": {package: version(package) for package in ("torch", "onnx", "onnxruntime", "tokenizers")},
        "git_commit": "0" * 40,
        "created": "2024-01-02T03:04:05+00:00",
    }
    write_json(folder / "metadata.json", metadata)
    pipeline = ClassificationPipeline.load(folder)
    requests = [{"text": sentence} for sentence in SENTENCES]
    golden = [{"request": request, "response": pipeline.predict([request])[0]} for request in requests]
    write_json(folder / "golden.json", golden)
    files = sorted(path for path in folder.iterdir() if path.name != "metadata.json")
    metadata["sizes"] = {path.name: path.stat().st_size for path in files}
    metadata["files"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    write_json(folder / "metadata.json", metadata)
    return folder


def tiny_tokenizer() -> Tokenizer:
    """A WordPiece trained on the sentences; a loader has to switch its stored padding and truncation off."""
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        SENTENCES, WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.enable_padding(length=64)
    tokenizer.enable_truncation(8)
    return tokenizer


def write_models(folder: Path, vocabulary: int, complexity: bool) -> None:
    """`model.onnx` and `model_int8.onnx`, with any number of rows and tokens."""
    torch.manual_seed(0)
    model = TinyClassifier(vocabulary, complexity).eval()
    # Two tensors: the exporter takes one tensor given twice for one input.
    ids, mask = torch.ones(2, 7, dtype=torch.int64), torch.ones(2, 7, dtype=torch.int64)
    rows, tokens = torch.export.Dim("rows"), torch.export.Dim("tokens", max=MAX_LENGTH)
    path = folder / "model.onnx"
    with warnings.catch_warnings():
        # The exporter warns of its own deprecated calls.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (ids, mask),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits", "complexity_logits"][: len(model.heads)],
            dynamic_shapes=({0: rows, 1: tokens}, {0: rows, 1: tokens}),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    graph = onnx.load(path)
    # The exporter's symbolic shapes differ in name from those that quantisation infers.
    del graph.graph.value_info[:]
    onnx.save(graph, path)
    quantize_dynamic(path, folder / "model_int8.onnx", per_channel=True, weight_type=QuantType.QInt8)


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
