"""Questions as windows of tokens: made once and cached, with the tokens of the answer for training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, List, Value
from torch import Tensor

from handlers.text.windows import Tokens, Window, WindowTokenizer
from lightning_modules.data.batching import pad
from lightning_modules.data.cache import Batch, cached_tokens

# Columns of windows. `question`: row of the questions; `begins`, `ends`: characters of each context token; `start`,
# `end`: positions in input_ids of the first reference's first and last token, 0 where the window does not hold it.
FEATURES = Features(
    {
        "question": Value("int32"),
        "input_ids": List(Value("int32")),
        "first": Value("int32"),
        "begins": List(Value("int32")),
        "ends": List(Value("int32")),
        "start": Value("int32"),
        "end": Value("int32"),
    }
)
TRAINING_COLUMNS = ["question", "input_ids", "first", "start", "end"]
MAX_QUESTIONS, MAX_CHARACTERS = 1000, 4_000_000  # of contexts that are made into windows at once


def window_rows(questions: Dataset, tokenizer: WindowTokenizer, tokenizer_json: str) -> Dataset:
    """Return the windows of all questions, in order, with the columns of `FEATURES`."""

    def encode(batch: Batch) -> Batch:
        contexts = list(dict.fromkeys(batch["context"]))  # a paragraph has several questions
        tokens = dict(zip(contexts, tokenizer.tokenize(contexts), strict=True))
        rows: Batch = {name: [] for name in FEATURES}
        asked = zip(
            batch["row"], tokenizer.tokenize(batch["question"]), batch["context"], batch["answers"], strict=True
        )
        for row, question, context, answers in asked:
            windows = tokenizer.windows(question, tokens[context])
            positions = answer_positions(windows, tokens[context], tokenizer.doc_stride, answers)
            for window, (start, end) in zip(windows, positions, strict=True):
                begins, ends = [begin for begin, _ in window.offsets], [end for _, end in window.offsets]
                values = (row, window.ids, window.first, begins, ends, start, end)
                for name, value in zip(FEATURES, values, strict=True):
                    rows[name].append(value)
        return rows

    numbered = questions.select_columns(["question", "context", "answers"]).add_column("row", range(len(questions)))
    settings = [tokenizer.max_length, tokenizer.doc_stride, tokenizer.max_question_length, tokenizer_json]
    return cached_tokens(numbered, encode, tokenizer, settings, FEATURES, questions_at_once(questions))


def questions_at_once(questions: Dataset) -> int:
    """Return how many questions `MAX_CHARACTERS` allow if every context were the longest; at least one."""
    longest = max(map(len, questions["context"]), default=0)
    return min(max(MAX_CHARACTERS // max(longest, 1), 1), MAX_QUESTIONS)


def answer_positions(
    windows: Sequence[Window], context: Tokens, doc_stride: int, answers: dict[str, list[Any]]
) -> list[tuple[int, int]]:
    """Return the first answer's first and last position in each window's ids; (0, 0) where it is not all there."""
    if not answers["text"] or answers["answer_start"][0] < 0:
        return [(0, 0)] * len(windows)
    begin = answers["answer_start"][0]
    end = begin + len(answers["text"][0])
    held = [i for i, (left, right) in enumerate(context.offsets) if left < end and right > begin]
    if not held:  # an answer that the tokenizer drops
        return [(0, 0)] * len(windows)
    step = len(windows[0].offsets) - doc_stride
    return [
        (window.first + held[0] - i * step, window.first + held[-1] - i * step)
        if i * step <= held[0] and held[-1] < i * step + len(window.offsets)
        else (0, 0)
        for i, window in enumerate(windows)
    ]


def as_window(row: dict[str, Any]) -> Window:
    """Return the row as the decoder takes it."""
    return Window(row["input_ids"], row["first"], list(zip(row["begins"], row["ends"], strict=True)))


def collate(rows: list[dict[str, Any]], max_length: int) -> dict[str, Tensor]:
    """Turn rows into int64 `input_ids`, `attention_mask` [rows, tokens], `question`, `start`, `end` [rows].

    `allowed`, bool [rows, tokens], marks the context's tokens, and the first one, which stands for no answer.
    """
    ids, mask = pad([row["input_ids"] for row in rows], max_length)
    first = np.array([row["first"] for row in rows])[:, None]
    last = mask.sum(dim=1, keepdim=True).numpy() - 1  # the closing special token
    position = np.arange(ids.shape[1])
    allowed = ((position >= first) & (position < last)) | (position == 0)
    numbers = {name: torch.tensor([row[name] for row in rows]) for name in ("question", "start", "end")}
    return {"input_ids": ids, "attention_mask": mask, "allowed": torch.from_numpy(allowed), **numbers}
