"""Provide questions on contexts to Lightning: read, check, split by article, cut into windows, and cache."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from handlers.text.spans import Floats, Spans, answer_range, best_spans
from handlers.text.windows import Window, WindowTokenizer
from lightning_modules.data.base import SplitData
from lightning_modules.data.batching import on_cuda, training_loader
from lightning_modules.data.question_windows import TRAINING_COLUMNS, as_window, collate, window_rows
from lightning_modules.data.sources import read_hub_questions, read_questions
from lightning_modules.data.splits import Split, joined_groups, numbered, whole_groups
from lightning_modules.errors import UserError
from lightning_modules.synthetic.questions import SyntheticQuestions


class QuestionData(SplitData):
    """A data module of questions, each with a context and reference answers, from files, the hub or the generator.

    Files are SQuAD's JSON, or JSON, JSONL or Parquet with question, context and answers. Missing splits consist of
    whole articles.

    Args:
        synthetic: the generator's settings.
        max_train_examples: number of questions used for training, chosen by `seed`; null: all.
        max_val_examples: number of questions used for validation.
        max_test_examples: number of questions used for the test.
        max_length: tokens of a window, special tokens included.
        doc_stride: tokens that two neighboring windows share.
        max_question_length: tokens a question is cut to.
        max_answer_tokens: length of the longest answer to consider, in tokens.
        n_best: number of candidate answers that decoding keeps.
        batch_size: windows of a training batch on each device; validation takes twice as many, or more if a single
            question has more.
    """

    def __init__(
        self,
        synthetic: SyntheticQuestions | None = None,
        max_train_examples: int | None = None,
        max_val_examples: int | None = None,
        max_test_examples: int | None = None,
        max_length: int = 384,
        doc_stride: int = 128,
        max_question_length: int = 64,
        max_answer_tokens: int = 30,
        n_best: int = 20,
        batch_size: int = 8,
        **settings: Any,
    ) -> None:
        super().__init__(max_length=max_length, batch_size=batch_size, **settings)
        self.synthetic = synthetic
        self.limits = {"train": max_train_examples, "val": max_val_examples, "test": max_test_examples}
        self.doc_stride = doc_stride
        self.max_question_length = max_question_length
        self.max_answer_tokens = max_answer_tokens
        self.n_best = n_best

    @cached_property
    def tokenizer(self) -> WindowTokenizer:
        """The tokenizer that serving uses too."""
        try:
            return WindowTokenizer(self.tokenizer_json, self.max_length, self.doc_stride, self.max_question_length)
        except ValueError as error:
            raise UserError(f"data: {error}") from error

    def train_dataloader(self) -> DataLoader:
        rows = self.tokenised["train"].select_columns(TRAINING_COLUMNS)
        merge = partial(collate, max_length=self.max_length)
        return training_loader(
            self, rows, window_lengths(rows), self.batch_size, self.seed, merge, self.min_steps_per_epoch
        )

    def val_dataloader(self) -> DataLoader:
        whole = WholeQuestions(self.tokenised["val"].select_columns(TRAINING_COLUMNS), self.batch_size * 2)
        merge = partial(collate_batch, max_length=self.max_length)
        return DataLoader(whole, batch_size=1, collate_fn=merge, pin_memory=on_cuda())

    def answers(self, batch: Mapping[str, Tensor], logits: Mapping[str, Tensor]) -> Iterator[tuple[str, list[str]]]:
        """Yield the best answer and the references of each question in a validation batch."""
        start, end = (logits[name].float().cpu().numpy() for name in ("start_logits", "end_logits"))
        questions = batch["question"].cpu().numpy()
        for question in np.unique(questions):
            rows = np.flatnonzero(questions == question)
            answer, _ = self.answer("val", int(question), list(start[rows]), list(end[rows]))
            yield answer, self.references("val", int(question))

    def answer(
        self,
        split: str,
        question: int,
        start_logits: Sequence[Floats],
        end_logits: Sequence[Floats],
        temperature: float = 1.0,
    ) -> tuple[str, Spans]:
        """Return the text of the best answer ("" if there is none), and all spans.

        Args:
            split: `val` or `test`.
            start_logits, end_logits: for each window, [tokens].
        """
        spans = best_spans(
            self.windows(split, question),
            start_logits,
            end_logits,
            n_best=self.n_best,
            max_answer_tokens=self.max_answer_tokens,
            temperature=temperature,
        )
        context = self.splits[split].rows[question]["context"]
        start, end = answer_range(context, spans.spans[0]) if spans.spans else (0, 0)
        return context[start:end], spans

    def windows(self, split: str, question: int) -> list[Window]:
        return [as_window(self.tokenised[split][i]) for i in self.windows_of[split][question]]

    def references(self, split: str, question: int) -> list[str]:
        texts: list[str] = self.splits[split].rows[question]["answers"]["text"]
        return texts

    @cached_property
    def windows_of(self) -> dict[str, list[range]]:
        """The rows of `tokenised` that belong to each question, for validation and test."""
        return {split: question_ranges(self.tokenised[split]) for split in ("val", "test")}

    def notes(self) -> list[str]:
        """Return a sentence for each kind of answer that training cannot teach."""
        windows = self.tokenised["train"]
        first, last = np.asarray(windows["start"]), np.asarray(windows["end"])
        asked = np.asarray(windows["question"])
        held = np.unique(asked[first > 0])
        long = np.unique(asked[last - first >= self.max_answer_tokens])
        answerable = sum(bool(answers["text"]) for answers in self.splits["train"].rows["answers"])
        notes = {
            f"are longer than data.max_answer_tokens {self.max_answer_tokens}, and are never returned": len(long),
            "do not fit into any window, and are learned as no answer: raise data.doc_stride": answerable - len(held),
        }
        return [f"{count} of {answerable} training answers {what}" for what, count in notes.items() if count]

    def summary(self) -> dict[str, Any]:
        """Return, for the report, each split's file and its numbers of questions, windows, repairs and drops."""
        return {
            name: {
                "file": questions.path.name,
                "questions": len(questions.rows),
                "windows": len(self.tokenised[name]),
                "repaired": questions.repaired,
                "dropped": dict(questions.dropped),
            }
            for name, questions in self.splits.items()
        }

    def read_file(self, split: str, path: Path) -> Split:
        # Exact match and F1 need only the texts of the references, not their places.
        return read_questions(path, self.bad_rows, check_starts=split == "train")

    def read_generated(self, split: str, path: Path) -> Split:
        return self.read_file(split, path)

    def read_hub(self, name: str) -> dict[str, Split]:
        return read_hub_questions(name, self.bad_rows)

    def split_off(self, split: Split, share: float) -> tuple[Split, Split]:
        return split_off(split, share, self.seed)

    def checked(self, split: str, splits: dict[str, Split]) -> Split:
        """Cut the split to its limit."""
        questions, limit = splits[split], self.limits[split]
        if limit is None or limit >= len(questions.rows):
            return questions
        if limit < 1:
            raise UserError(f"data.max_{split}_examples is {limit}: give 1 or more")
        chosen = np.random.default_rng(self.seed).permutation(len(questions.rows))[:limit]
        return replace(questions, rows=questions.rows.select(sorted(chosen.tolist())))

    def tokenise(self, split: Split) -> Dataset:
        """Return the windows of a split's questions, see `question_windows.FEATURES`."""
        return window_rows(split.rows, self.tokenizer, self.tokenizer_json)


class WholeQuestions(TorchDataset[list[dict[str, Any]]]):
    """A data set of batches of similar lengths, each of whole questions: `max_windows` windows, or one question."""

    def __init__(self, windows: Dataset, max_windows: int) -> None:
        self.windows = windows
        self.batches = whole_batches(question_ranges(windows), window_lengths(windows), max_windows)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, batch: int) -> list[dict[str, Any]]:
        return [self.windows[i] for i in self.batches[batch]]


def whole_batches(questions: Sequence[range], lengths: Sequence[int], max_rows: int) -> list[list[int]]:
    """Return batches of row numbers, at most `max_rows` each, that join questions with rows of similar lengths."""
    batches: list[list[int]] = []
    for rows in sorted(questions, key=lambda rows: max(lengths[i] for i in rows)):
        if batches and len(batches[-1]) + len(rows) <= max_rows:
            batches[-1] += rows
        else:
            batches.append(list(rows))
    return batches


def collate_batch(items: list[list[dict[str, Any]]], max_length: int) -> dict[str, Tensor]:
    (windows,) = items
    return collate(windows, max_length)


def question_ranges(windows: Dataset) -> list[range]:
    """Return the rows of each question; the windows of a question are adjacent."""
    counts = np.bincount(np.asarray(windows["question"]))
    ends = np.cumsum(counts)
    return [range(end - count, end) for end, count in zip(ends.tolist(), counts.tolist(), strict=True)]


def window_lengths(windows: Dataset) -> list[int]:
    return [len(ids) for ids in windows["input_ids"]]


def split_off(questions: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Split off a `share` of the questions by articles, shuffled by `seed`; no context is on both sides.

    Articles that have a context in common stay together. If they are so large, or so few, that this gives less than
    half or more than twice the share, the questions are split by contexts instead.
    """
    contexts = questions.rows["context"][:]
    if len(set(contexts)) < 2:
        raise UserError(
            f"{questions.path} has too few contexts to split a share off: give the splits as files of their own"
        )
    generator = np.random.default_rng(seed)
    taken = whole_groups(joined_groups(questions.rows["title"][:], contexts), share, generator)
    if not share / 2 <= taken.mean() <= share * 2:
        taken = whole_groups(numbered(contexts), share, generator)
    return questions.parted(taken)
