"""Compute a teacher's logits of all training rows once, and cache them under the hash of everything they depend on."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import tokenizers
import torch
from lightning import Trainer
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from tqdm import tqdm

from handlers.text.tokenization import CHARACTERS_PER_TOKEN, TextTokenizer
from lightning_modules.data.batching import pad, similar_lengths
from lightning_modules.data.classification import ClassificationData
from lightning_modules.errors import UserError
from lightning_modules.export.checkpoints import Checkpoint, limited_length
from lightning_modules.labels import label_difference

BATCH_SIZE = 64
Logits = NDArray[np.float16]


def cached_logits(trainer: Trainer, teacher: Checkpoint, data: ClassificationData) -> Logits:
    """Return the memory-mapped logits [rows, labels] of the training part, both in the data's order.

    The first process of every machine computes them, on the trainer's device and in its precision, with rows cut to
    the length that the student reads.

    Raises:
        UserError: the teacher's labels are not those of the data.
    """
    columns = label_columns(teacher, data.labels)
    length = limited_length(teacher.network, data.max_length)
    texts = data.splits["train"].rows["text"][:]
    path = logits_path(teacher, data.labels, texts, length, str(trainer.precision))
    if trainer.local_rank == 0 and not path.exists():
        rows = [row.ids for row in TextTokenizer(teacher.tokenizer_json, length).tokenize(texts)]
        write_logits(path, trainer, teacher, rows, columns)
    trainer.strategy.barrier()
    return np.load(path, mmap_mode="r")


def label_columns(teacher: Checkpoint, labels: Sequence[str]) -> list[int]:
    """Return the column of each label in the teacher's logits; refuse a teacher with different labels."""
    if difference := label_difference("the data", labels, "it", teacher.labels):
        raise UserError(f"the teacher {teacher.name} has labels that differ from the data's ({difference})")
    return [teacher.labels.index(label) for label in labels]


def logits_path(teacher: Checkpoint, labels: Sequence[str], texts: Sequence[str], length: int, precision: str) -> Path:
    """Return the file beside the tokenised rows whose name hashes texts, teacher, tokenizer, length and precision."""
    settings = [teacher.digest(), tokenizers.__version__, CHARACTERS_PER_TOKEN, length, precision, list(labels)]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for text in texts:
        digest.update(json.dumps(text).encode())
    return Path(datasets.config.HF_DATASETS_CACHE) / "teacher_logits" / f"{digest.hexdigest()}.npy"


@torch.inference_mode()
def write_logits(
    path: Path, trainer: Trainer, teacher: Checkpoint, rows: Sequence[Sequence[int]], columns: Sequence[int]
) -> None:
    """Write the logits [rows, columns] as fp16; the file gets its name only once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    device = trainer.strategy.root_device
    network = teacher.network.to(device)
    quiet = trainer.progress_bar_callback is None
    try:
        logits = open_memmap(partial, mode="w+", dtype=np.float16, shape=(len(rows), len(columns)))
        with trainer.precision_plugin.forward_context(), tqdm(total=len(rows), unit="row", disable=quiet) as bar:
            bar.set_description(f"logits of the teacher {teacher.name}")
            for batch in similar_lengths(rows, BATCH_SIZE):
                ids, mask = pad([rows[i] for i in batch])
                of_batch = network(ids.to(device), mask.to(device))["logits"]
                logits[batch] = of_batch.half().cpu().numpy()[:, columns]
                bar.update(len(batch))
        logits.flush()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
