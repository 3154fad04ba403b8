"""Questions on contexts as a Lightning data module: read, checked, split by article, made into windows, cached."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from handlers.text.spans import Floats, Spans, answer_range, best_spans
from handlers.text.windows import Window, WindowTokenizer
from lightning_modules.data.batching import on_cuda, training_loader
from lightning_modules.data.hub import refuse_two_sources, with_files
from lightning_modules.data.question_files import Questions, read_hub, read_questions
from lightning_modules.data.question_windows import TRAINING_COLUMNS, as_window, collate, window_rows
from lightning_modules.data.splits import joined_groups, numbered, whole_groups, with_missing_parts
from lightning_modules.data.tables import BadRows
from lightning_modules.errors import UserError
from lightning_modules.pretrained import EMBEDDED, load_tokenizer_json
from lightning_modules.synthetic.questions import SyntheticQuestions

PARTS = ("train", "val", "test")


class QuestionData(LightningDataModule):
    """Questions with a context and reference answers each, from files, from the hub or from the generator.

    Args:
        train_file: SQuAD's JSON, or JSONL, JSON or Parquet with question, context and answers; gzipped too;
            null: `dataset`, or else generated data.
        val_file: validation questions; null: the part of `dataset`, or else split off the training part.
        test_file: test questions; null: the same.
        dataset: a hub name such as `squad`, or a local folder in hub layout, in place of the training file.
        synthetic: the generator's settings.
        val_share: share of the training part's questions that become the missing validation part, by whole articles.
        test_share: the same for the missing test part.
        max_train_examples: questions used of the training part, chosen by `seed`; null: all.
        max_val_examples: the same for validation.
        max_test_examples: the same for the test.
        bad_rows: `error` names questions that cannot be used; `drop` drops and counts them.
        backbone: whose tokenizer to use; linked from the model.
        max_length: tokens of a window, special tokens included.
        doc_stride: tokens that two neighbouring windows share.
        max_question_length: tokens a question is cut to.
        max_answer_tokens: tokens of the longest answer.
        n_best: answers kept in decoding.
        batch_size: windows of a training batch on each device; twice as many in validation, where only a question that
            alone has more makes a larger batch.
        min_steps_per_epoch: of an epoch; so few windows that they make fewer are gone through several times in one.
        seed: of splits, choices and shuffling.
    """

    def __init__(
        self,
        train_file: str | None = None,
        val_file: str | None = None,
        test_file: str | None = None,
        dataset: str | None = None,
        synthetic: SyntheticQuestions | None = None,
        val_share: float = 0.1,
        test_share: float = 0.1,
        max_train_examples: int | None = None,
        max_val_examples: int | None = None,
        max_test_examples: int | None = None,
        bad_rows: BadRows = "error",
        backbone: str = EMBEDDED,
        max_length: int = 384,
        doc_stride: int = 128,
        max_question_length: int = 64,
        max_answer_tokens: int = 30,
        n_best: int = 20,
        batch_size: int = 8,
        min_steps_per_epoch: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.files = {"train": train_file, "val": val_file, "test": test_file}
        refuse_two_sources(train_file, dataset)
        self.dataset = dataset
        self.synthetic = synthetic
        self.shares = {"test": test_share, "val": val_share}
        self.limits = {"train": max_train_examples, "val": max_val_examples, "test": max_test_examples}
        self.bad_rows = bad_rows
        self.backbone = backbone
        self.max_length = max_length
        self.doc_stride = doc_stride
        self.max_question_length = max_question_length
        self.max_answer_tokens = max_answer_tokens
        self.n_best = n_best
        self.batch_size = batch_size
        self.min_steps_per_epoch = min_steps_per_epoch
        self.seed = seed

    @cached_property
    def parts(self) -> dict[str, Questions]:
        """The three parts, checked and cut to their limits."""
        parts = with_missing_parts(
            self._read(), self.shares, lambda questions, share: split_off(questions, share, self.seed)
        )
        return {part: self._limited(part, parts[part]) for part in PARTS}

    @cached_property
    def tokenizer_json(self) -> str:
        return load_tokenizer_json(self.backbone)

    @cached_property
    def tokenizer(self) -> WindowTokenizer:
        """The tokenizer as served: training and serving share it."""
        try:
            return WindowTokenizer(self.tokenizer_json, self.max_length, self.doc_stride, self.max_question_length)
        except ValueError as error:
            raise UserError(f"data: {error}") from error

    @cached_property
    def tokenised(self) -> dict[str, Dataset]:
        """The windows of each part, see `question_windows.FEATURES`; cached on disk by content."""
        return {
            part: window_rows(questions.rows, self.tokenizer, self.tokenizer_json)
            for part, questions in self.parts.items()
        }

    def setup(self, stage: str | None = None) -> None:
        _ = self.tokenised

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
        """The best answer to each whole question of a validation batch, with its references."""
        start, end = (logits[name].float().cpu().numpy() for name in ("start_logits", "end_logits"))
        questions = batch["question"].cpu().numpy()
        for question in np.unique(questions):
            rows = np.flatnonzero(questions == question)
            answer, _ = self.answer("val", int(question), list(start[rows]), list(end[rows]))
            yield answer, self.references("val", int(question))

    def answer(
        self,
        part: str,
        question: int,
        start_logits: Sequence[Floats],
        end_logits: Sequence[Floats],
        temperature: float = 1.0,
    ) -> tuple[str, Spans]:
        """The best answer's text ("" where there is none), and all spans; logits of each window, [tokens]."""
        spans = best_spans(
            self.windows(part, question),
            start_logits,
            end_logits,
            n_best=self.n_best,
            max_answer_tokens=self.max_answer_tokens,
            temperature=temperature,
        )
        context = self.parts[part].rows[question]["context"]
        start, end = answer_range(context, spans.spans[0]) if spans.spans else (0, 0)
        return context[start:end], spans

    def windows(self, part: str, question: int) -> list[Window]:
        return [as_window(self.tokenised[part][i]) for i in self.windows_of[part][question]]

    def references(self, part: str, question: int) -> list[str]:
        texts: list[str] = self.parts[part].rows[question]["answers"]["text"]
        return texts

    @cached_property
    def windows_of(self) -> dict[str, list[range]]:
        """The rows of `tokenised` that each question of validation and test has."""
        return {part: question_ranges(self.tokenised[part]) for part in ("val", "test")}

    def notes(self) -> list[str]:
        """What limits the answers that training can teach."""
        windows = self.tokenised["train"]
        first, last = np.asarray(windows["start"]), np.asarray(windows["end"])
        asked = np.asarray(windows["question"])
        held = np.unique(asked[first > 0])
        long = np.unique(asked[last - first >= self.max_answer_tokens])
        answerable = sum(bool(answers["text"]) for answers in self.parts["train"].rows["answers"])
        notes = {
            f"are longer than data.max_answer_tokens {self.max_answer_tokens}, and never given": len(long),
            "stand whole in no window, and are learnt as none: raise data.doc_stride": answerable - len(held),
        }
        return [f"{count} of {answerable} training answers {what}" for what, count in notes.items() if count]

    def summary(self) -> dict[str, Any]:
        """Of each part, for the report: file, questions, windows, and what was repaired or dropped."""
        return {
            part: {
                "file": questions.path.name,
                "questions": len(questions.rows),
                "windows": len(self.tokenised[part]),
                "repaired": questions.repaired,
                "dropped": dict(questions.dropped),
            }
            for part, questions in self.parts.items()
        }

    def _read(self) -> dict[str, Questions]:
        files: dict[str, Any] = {part: path for part, path in self.files.items() if path is not None}
        if "train" not in files and self.dataset is None:
            if self.synthetic is None:
                raise UserError(
                    "no training data: give --data.train_file, --data.dataset, or --data.synthetic settings"
                )
            files = {**self.synthetic.write(), **files}
        read = {
            # Exact match and F1 do not need the place of a reference.
            part: read_questions(Path(path).expanduser(), self.bad_rows, check_starts=part == "train")
            for part, path in files.items()
        }
        return read if self.dataset is None else with_files(read_hub(self.dataset, self.bad_rows), read)

    def _limited(self, part: str, questions: Questions) -> Questions:
        limit = self.limits[part]
        if limit is None or limit >= len(questions.rows):
            return questions
        if limit < 1:
            raise UserError(f"data.max_{part}_examples is {limit}: give 1 or more")
        chosen = np.random.default_rng(self.seed).permutation(len(questions.rows))[:limit]
        return replace(questions, rows=questions.rows.select(sorted(chosen.tolist())))


class WholeQuestions(TorchDataset[list[dict[str, Any]]]):
    """Every item is a batch of `most` windows at most, or of one question that has more: no question is parted."""

    def __init__(self, windows: Dataset, most: int) -> None:
        self.windows = windows
        self.ranges = whole_ranges(question_ranges(windows), most)

    def __len__(self) -> int:
        return len(self.ranges)

    def __getitem__(self, batch: int) -> list[dict[str, Any]]:
        return [self.windows[i] for i in self.ranges[batch]]


def whole_ranges(questions: Sequence[range], most: int) -> list[range]:
    """Neighbouring ranges joined as long as they have `most` rows together."""
    joined: list[range] = []
    for rows in questions:
        if joined and rows.stop - joined[-1].start <= most:
            joined[-1] = range(joined[-1].start, rows.stop)
        else:
            joined.append(rows)
    return joined


def collate_batch(items: list[list[dict[str, Any]]], max_length: int) -> dict[str, Tensor]:
    (windows,) = items
    return collate(windows, max_length)


def question_ranges(windows: Dataset) -> list[range]:
    """The rows of each question: windows of one question stand together."""
    counts = np.bincount(np.asarray(windows["question"]))
    ends = np.cumsum(counts)
    return [range(end - count, end) for end, count in zip(ends.tolist(), counts.tolist(), strict=True)]


def window_lengths(windows: Dataset) -> list[int]:
    return [len(ids) for ids in windows["input_ids"]]


def split_off(questions: Questions, share: float, seed: int) -> tuple[Questions, Questions]:
    """Cuts a `share` of the questions off, by articles shuffled by `seed`: no context stands on both sides.

    Articles with a context in common go together. Where they are so large, or so few, that this gives less than half
    the share or more than twice of it, contexts are dealt out instead. The first counts all dropped and repaired.
    """
    contexts = questions.rows["context"][:]
    if len(set(contexts)) < 2:
        raise UserError(
            f"{questions.path} has too few contexts to split a share off: give the parts as files of their own"
        )
    generator = np.random.default_rng(seed)
    taken = whole_groups(joined_groups(questions.rows["title"][:], contexts), share, generator)
    if not share / 2 <= taken.mean() <= share * 2:
        taken = whole_groups(numbered(contexts), share, generator)
    return (
        replace(questions, rows=questions.rows.select(np.flatnonzero(~taken))),
        Questions(questions.path, questions.rows.select(np.flatnonzero(taken)), Counter(), 0),
    )
