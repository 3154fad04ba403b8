"""Write a tiny real exported model for question answering, like the classifier of tests/support/tiny_export.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from lightning_modules.export import files, int8
from lightning_modules.models.network import SpanExtractor
from tests.support.tiny_export import SENTENCES, finish_tiny_export, tiny_encoder, tiny_tokenizer

Outputs = dict[str, list[NDArray[np.float32]]]

MAX_LENGTH, DOC_STRIDE, MAX_QUESTION_LENGTH = 48, 8, 12
# A context of two windows: more tokens than one holds, but fewer than three hold.
CONTEXT = ". ".join(SENTENCES[:6])
QUESTIONS = ["what is the capital of australia?", "how do you say good morning", "is it nice weather, or not?"]


def write_tiny_qa_export(folder: Path, *, name: str = "tiny_qa") -> Path:
    """Write an exported folder, as `runs/<name>/export` is, and return it."""
    folder.mkdir(parents=True)
    tokenizer = tiny_tokenizer()
    network = SpanExtractor(tiny_encoder(tokenizer.get_vocab_size()))
    nn.init.normal_(network.head.weight, std=0.5)  # widely spread weights, so that answers differ
    files.write_model(folder, network, tokenizer.to_str(), max_length=MAX_LENGTH, opset=18)
    int8.write_int8(folder / files.FP32, folder / files.INT8, "per_token")
    task_metadata = {
        "max_length": MAX_LENGTH,
        "doc_stride": DOC_STRIDE,
        "max_question_length": MAX_QUESTION_LENGTH,
        "max_answer_tokens": 8,
        "n_best": 20,
    }
    requests = [{"question": question, "context": CONTEXT} for question in QUESTIONS]
    return finish_tiny_export(folder, name, "question-answering", task_metadata, QuestionAnsweringPipeline, requests)


def random_outputs(rows: list[list[int]], seed: int = 0) -> Outputs:
    """Return logits of windows of token ids, as a model for questions would."""
    rng = np.random.default_rng(seed)
    names = ("start_logits", "end_logits")
    return {name: [rng.normal(0, 2, len(row)).astype(np.float32) for row in rows] for name in names}
