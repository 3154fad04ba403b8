"""A teacher's logits of all training rows: computed once, kept on disk under the name of all that they depend on."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import tokenizers
import torch
from lightning import Trainer
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from tqdm import tqdm

from handlers.text.tokenization import CHARACTERS_PER_TOKEN, TextEncoder
from lightning_modules.data.batching import pad, similar_lengths
from lightning_modules.data.classification import ClassificationData
from lightning_modules.distillation.teacher import Teacher, rows_length

BATCH_SIZE = 64
Logits = NDArray[np.float16]


def cached_logits(trainer: Trainer, teacher: Teacher, data: ClassificationData) -> Logits:
    """Logits [rows, labels] of the training part in the data's order, memory-mapped.

    Computed on the trainer's device in its precision, the rows as long as the student reads them, by the first process
    of every machine. Raises `UserError` where the teacher's labels are not the data's.
    """
    columns = teacher.columns(data.labels)
    length = rows_length(teacher.network, data.max_length)
    texts = data.tables["train"].rows["text"][:]
    path = logits_path(teacher, data.labels, texts, length, str(trainer.precision))
    if trainer.local_rank == 0 and not path.exists():
        rows = [row.ids for row in TextEncoder(teacher.tokenizer_json, length).encode(texts)]
        write_logits(path, trainer, teacher, rows, columns)
    trainer.strategy.barrier()
    return np.load(path, mmap_mode="r")


def logits_path(teacher: Teacher, labels: Sequence[str], texts: Sequence[str], length: int, precision: str) -> Path:
    """Beside the tokenised rows; another name for every other text, teacher, tokenizer, length or precision."""
    settings = [teacher.digest(), tokenizers.__version__, CHARACTERS_PER_TOKEN, length, precision, list(labels)]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for text in texts:
        digest.update(json.dumps(text).encode())
    return Path(datasets.config.HF_DATASETS_CACHE) / "teacher_logits" / f"{digest.hexdigest()}.npy"


@torch.inference_mode()
def write_logits(
    path: Path, trainer: Trainer, teacher: Teacher, rows: Sequence[Sequence[int]], columns: Sequence[int]
) -> None:
    """Writes fp16 [rows, columns]; the file has its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    device = trainer.strategy.root_device
    network = teacher.network.to(device)
    quiet = trainer.progress_bar_callback is None
    try:
        logits = open_memmap(partial, mode="w+", dtype=np.float16, shape=(len(rows), len(columns)))
        with trainer.precision_plugin.forward_context(), tqdm(total=len(rows), unit="row", disable=quiet) as bar:
            bar.set_description(f"asking the teacher {teacher.name}")
            for batch in similar_lengths(rows, BATCH_SIZE):
                ids, mask = pad([rows[i] for i in batch])
                answers = network(ids.to(device), mask.to(device))["logits"]
                logits[batch] = answers.half().cpu().numpy()[:, columns]
                bar.update(len(batch))
        logits.flush()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def same_tokenizer(one: str, other: str) -> bool:
    """Whether two `tokenizer.json` texts give the same ids, apart from their stored padding and truncation."""
    left, right = (_without_lengths(text) for text in (one, other))
    return left == right


def _without_lengths(tokenizer_json: str) -> dict[str, Any]:
    return {key: value for key, value in json.loads(tokenizer_json).items() if key not in ("padding", "truncation")}
