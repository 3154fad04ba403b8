"""Provide labelled texts to Lightning: read, check, split, tokenize once and cache, and batch by length."""

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from torch.utils.data import DataLoader

from archives.reading.options import ReadOptions
from handlers.text.tokenization import CHARACTERS_PER_TOKEN, TextTokenizer
from lightning_modules.callbacks.step_seed import run_seed
from lightning_modules.data.base import SplitData
from lightning_modules.data.batching import on_cuda, pad, training_loader
from lightning_modules.data.cache import cached_tokens
from lightning_modules.data.sources import read_hub_texts, read_texts, without_bad
from lightning_modules.data.splits import Split, allotted, numbered
from lightning_modules.errors import UserError
from lightning_modules.labels import IGNORED, fold
from lightning_modules.synthetic.texts import SyntheticTexts


class ClassificationData(SplitData):
    """A data module of labelled texts, from CSV, TSV, JSON, JSONL or Parquet files, the hub or a generator.

    Missing splits are stratified by label; rows whose texts differ at most in case and spacing stay together.

    Args:
        text_column: name of the column with the text; generated files have columns of their own.
        label_column: name of the column with the label.
        complexity_column: name of the column with a second, ordinal label; null: no complexity head.
        synthetic: a generator with its settings.
        max_length: tokens a text is cut to, special tokens included.
    """

    def __init__(
        self,
        text_column: str = "text",
        label_column: str = "label",
        complexity_column: str | None = None,
        synthetic: SyntheticTexts | None = None,
        max_length: int = 128,
        **settings: Any,
    ) -> None:
        super().__init__(max_length=max_length, **settings)
        if max_length < 3:
            raise UserError(f"data.max_length is {max_length}: give 3 or more, since two tokens frame every text")
        self.synthetic = synthetic
        self.options = ReadOptions(text_column, label_column, complexity_column)

    @cached_property
    def class_counts(self) -> tuple[int, ...]:
        """Number of training rows of each label, in the order of `labels`."""
        counts = Counter(self.splits["train"].rows["label"][:])
        if len(counts) < 2:
            raise UserError(
                f"{self.splits['train'].path}: all rows have the label {next(iter(counts))!r}; two are needed"
            )
        return tuple(counts[label] for label in sorted(counts))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Label names, sorted."""
        return tuple(sorted(set(self.splits["train"].rows["label"][:])))

    @cached_property
    def complexity_labels(self) -> tuple[str, ...]:
        """The complexity levels: low, medium and high first, then any others, sorted; empty without a column."""
        levels = set(self.splits["train"].rows["complexity"][:]) - {""}
        if self.options.complexity_column and not levels:
            raise UserError(
                f"{self.splits['train'].path} has no values in a column {self.options.complexity_column!r}: "
                "correct --data.complexity_column, or leave it out to train no complexity head"
            )
        known = [level for level in ("low", "medium", "high") if level in levels]
        return (*known, *sorted(levels - set(known)))

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer that serving uses too."""
        return TextTokenizer(self.tokenizer_json, self.max_length)

    def train_dataloader(self) -> DataLoader:
        rows = self.tokenised["train"]
        lengths = [len(ids) for ids in rows["input_ids"][:]]
        return training_loader(self, rows, lengths, self.batch_size, run_seed(), collate, self.min_steps_per_epoch)

    def val_dataloader(self) -> DataLoader:
        rows = self.tokenised["val"]
        # Batching by length saves padding; the metrics do not depend on the order.
        order = np.argsort([len(ids) for ids in rows["input_ids"][:]], kind="stable")
        return DataLoader(rows.select(order), self.batch_size * 2, collate_fn=collate, pin_memory=on_cuda())

    def notes(self) -> list[str]:
        """Return a sentence if texts are cut, or an empty list."""
        rows = self.tokenised["train"]
        cut = sum(rows["truncated"][:])
        return [f"{cut} of {len(rows)} training texts are cut to data.max_length {self.max_length} tokens"] * bool(cut)

    def summary(self) -> dict[str, Any]:
        """Return, for the report, each split's file and its numbers of rows, all, cut, dropped and also in training."""
        trained = set(map(fold, self.splits["train"].rows["text"][:]))
        return {
            name: {
                "file": split.path.name,
                "rows": len(split.rows),
                "truncated": sum(self.tokenised[name]["truncated"][:]),
                "dropped": dict(split.dropped),
            }
            | ({} if name == "train" else {"also_in_training": sum(fold(t) in trained for t in split.rows["text"][:])})
            for name, split in self.splits.items()
        }

    def read_file(self, split: str, path: Path) -> Split:
        return read_texts(path, self.options, self.bad_rows)

    def read_generated(self, split: str, path: Path) -> Split:
        options = ReadOptions("text", self.synthetic.label_column, self.synthetic.complexity_column)
        return read_texts(path, options, "error")

    def read_hub(self, name: str) -> dict[str, Split]:
        return read_hub_texts(name, self.options, self.bad_rows)

    def split_off(self, split: Split, share: float) -> tuple[Split, Split]:
        return split_off(split, share, self.seed)

    def checked(self, split: str, splits: dict[str, Split]) -> Split:
        """Refuse, or drop, rows with labels that do not occur in training, since the model cannot predict them."""
        rows, problems = splits[split].rows, {}
        for column in ("label", "complexity"):
            known = {*splits["train"].rows[column][:], ""}
            if known == {""}:
                continue  # training has no complexity, and the model no head for it
            for i, value in enumerate(rows[column][:]):
                if value not in known:
                    problems[i] = f"{column} {value!r} never occurs in training"
        return without_bad(splits[split], problems, self.bad_rows, lambda i: f"row {rows[i]['row']}")

    def tokenise(self, split: Split) -> Dataset:
        """Return rows of `input_ids`, `truncated`, `target`, `complexity_target` and the number of the `row`."""
        label_ids = {label: i for i, label in enumerate(self.labels)}
        level_ids = {level: i for i, level in enumerate(self.complexity_labels)}

        def encode(batch: dict[str, list[str]]) -> dict[str, list]:
            encoded = self.tokenizer.tokenize(batch["text"])
            return {
                "input_ids": [row.ids for row in encoded],
                "truncated": [row.truncated for row in encoded],
                "target": [label_ids[label] for label in batch["label"]],
                "complexity_target": [level_ids.get(level, IGNORED) for level in batch["complexity"]],
            }

        settings = [self.labels, self.complexity_labels, self.max_length, self.tokenizer_json, CHARACTERS_PER_TOKEN]
        rows = split.rows.select_columns(["text", "label", "complexity"])
        tokens = cached_tokens(rows, encode, self.tokenizer, settings)
        return tokens.add_column("row", np.arange(len(tokens)))


def split_off(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Split off a `share` of each label's texts, shuffled by `seed`; at least one text of each stays in training.

    Rows of a text stay together, whatever its case and spacing; one with several labels counts for the rarest.
    """
    generator = np.random.default_rng(seed)
    texts, labels = numbered(map(fold, split.rows["text"])), numbered(split.rows["label"])
    by_text = np.lexsort((labels, np.bincount(labels)[labels], texts))
    _, firsts = np.unique(texts[by_text], return_index=True)
    rows = np.sort(by_text[firsts])  # one of each text
    shuffled = [generator.permutation(rows[labels[rows] == label]) for label in np.unique(labels)]
    counts = allotted([len(of_label) for of_label in shuffled], share, generator)
    chosen = np.concatenate([of_label[:count] for of_label, count in zip(shuffled, counts, strict=True)])
    if not len(chosen):
        raise UserError(
            f"{split.path} has too few different texts to split off a share of {share:g}: "
            "give the splits as files of their own"
        )
    return split.parted(np.isin(texts, texts[chosen]))


def collate(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Turn rows into `input_ids`, `attention_mask` [rows, longest], `labels`, `complexity`, `row` [rows], all int64.

    `row` is the row's number in its split, which leads back to its text and label.
    """
    ids, mask = pad([row["input_ids"] for row in rows])
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": torch.tensor([row["target"] for row in rows]),
        "complexity": torch.tensor([row["complexity_target"] for row in rows]),
        "row": torch.tensor([row["row"] for row in rows]),
    }
