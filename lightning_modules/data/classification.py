"""Labelled texts as a Lightning data module: read, checked, split, tokenised once and cached, batched by length."""

from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from handlers.text.tokenization import CHARACTERS_PER_TOKEN, TextTokenizer
from lightning_modules.callbacks.step_seed import run_seed
from lightning_modules.data.batching import on_cuda, pad, training_loader
from lightning_modules.data.hub import refuse_two_sources, with_files
from lightning_modules.data.splits import allotted, numbered, with_missing_parts
from lightning_modules.data.table_files import Columns
from lightning_modules.data.tables import BadRows, Table, drop_or_refuse, read_hub_tables, read_table
from lightning_modules.data.token_cache import cached_rows
from lightning_modules.errors import UserError
from lightning_modules.labels import IGNORED, fold
from lightning_modules.pretrained import EMBEDDED, load_tokenizer_json
from lightning_modules.synthetic.texts import SyntheticTexts

PARTS = ("train", "val", "test")


class ClassificationData(LightningDataModule):
    """Texts with a label each, from a user's files, from the hub or from a generator.

    Args:
        train_file: CSV, TSV, JSON, JSONL or Parquet, gzipped too; null: `dataset`, or else generated data.
        val_file: validation rows; null: the part of `dataset`, or else split off the training part.
        test_file: test rows; null: the same.
        dataset: a hub name such as `stanfordnlp/sst2`, or a local folder in hub layout, in place of the training file.
        text_column: name of the column with the text; generated files have columns of their own.
        label_column: name of the column with the label.
        complexity_column: name of the column with a second, ordinal label; null: no complexity head.
        synthetic: a generator with its settings.
        val_share: share of the training part that becomes the missing validation part, stratified by label; rows whose
            texts differ by case and spacing at most stay together.
        test_share: the same for the missing test part.
        bad_rows: `error` names rows that cannot be used; `drop` drops and counts them.
        backbone: whose tokenizer to use; linked from the model.
        max_length: tokens a text is cut to, special tokens included.
        batch_size: rows of a training batch on each device.
        min_steps_per_epoch: of an epoch; so few rows that they make fewer are gone through several times in one.
        seed: of the splits; the order of the training rows is of `seed_everything`.
    """

    def __init__(
        self,
        train_file: str | None = None,
        val_file: str | None = None,
        test_file: str | None = None,
        dataset: str | None = None,
        text_column: str = "text",
        label_column: str = "label",
        complexity_column: str | None = None,
        synthetic: SyntheticTexts | None = None,
        val_share: float = 0.1,
        test_share: float = 0.1,
        bad_rows: BadRows = "error",
        backbone: str = EMBEDDED,
        max_length: int = 128,
        batch_size: int = 32,
        min_steps_per_epoch: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if max_length < 3:
            raise UserError(f"data.max_length is {max_length}: give 3 or more, since two tokens frame every text")
        self.synthetic = synthetic
        self.shares = {"test": test_share, "val": val_share}
        self.bad_rows = bad_rows
        self.backbone = backbone
        self.max_length = max_length
        self.batch_size = batch_size
        self.min_steps_per_epoch = min_steps_per_epoch
        self.seed = seed
        self.files = {"train": train_file, "val": val_file, "test": test_file}
        refuse_two_sources(train_file, dataset)
        self.dataset = dataset
        self.columns = Columns(text_column, label_column, complexity_column)

    @cached_property
    def tables(self) -> dict[str, Table]:
        """The three parts, checked: every label of validation and test occurs in training."""
        tables = with_missing_parts(self._read(), self.shares, lambda table, share: split_off(table, share, self.seed))
        return {part: self._known(tables["train"], tables[part]) for part in PARTS}

    @cached_property
    def class_counts(self) -> tuple[int, ...]:
        """Training rows of each label, in the order of `labels`."""
        counts = Counter(self.tables["train"].rows["label"][:])
        if len(counts) < 2:
            raise UserError(
                f"{self.tables['train'].path}: all rows have the label {next(iter(counts))!r}; two are needed"
            )
        return tuple(counts[label] for label in sorted(counts))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Label names, sorted."""
        return tuple(sorted(set(self.tables["train"].rows["label"][:])))

    @cached_property
    def complexity_labels(self) -> tuple[str, ...]:
        """Complexity levels: low, medium, high first, in that order; then any others, sorted. Empty: no column."""
        levels = set(self.tables["train"].rows["complexity"][:]) - {""}
        if self.columns.complexity and not levels:
            raise UserError(
                f"{self.tables['train'].path} has no values in a column {self.columns.complexity!r}: "
                "correct --data.complexity_column, or leave it out to train no complexity head"
            )
        known = [level for level in ("low", "medium", "high") if level in levels]
        return (*known, *sorted(levels - set(known)))

    @cached_property
    def tokenizer_json(self) -> str:
        return load_tokenizer_json(self.backbone)

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer as served: training and serving share it."""
        return TextTokenizer(self.tokenizer_json, self.max_length)

    @cached_property
    def tokenised(self) -> dict[str, Dataset]:
        """The parts, cached on disk by content, and the number of each `row`.

        Further columns are `input_ids`, `truncated` (the text was), `target`, `complexity_target`.
        """
        parts = {part: self._tokenise(table) for part, table in self.tables.items()}
        return {part: rows.add_column("row", np.arange(len(rows))) for part, rows in parts.items()}

    def setup(self, stage: str | None = None) -> None:
        _ = self.tokenised

    def train_dataloader(self) -> DataLoader:
        rows = self.tokenised["train"]
        lengths = [len(ids) for ids in rows["input_ids"][:]]
        return training_loader(self, rows, lengths, self.batch_size, run_seed(), collate, self.min_steps_per_epoch)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.tokenised["val"], self.batch_size * 2, collate_fn=collate, pin_memory=on_cuda())

    def notes(self) -> list[str]:
        """What limits the texts that training reads."""
        rows = self.tokenised["train"]
        cut = sum(rows["truncated"][:])
        return [f"{cut} of {len(rows)} training texts are cut to data.max_length {self.max_length} tokens"] * bool(cut)

    def summary(self) -> dict[str, Any]:
        """Of each part, for the report: file, rows, those cut or dropped, and those whose text is in training too."""
        trained = set(map(fold, self.tables["train"].rows["text"][:]))
        return {
            part: {
                "file": table.path.name,
                "rows": len(table.rows),
                "truncated": sum(self.tokenised[part]["truncated"][:]),
                "dropped": dict(table.dropped),
            }
            | ({} if part == "train" else {"also_in_training": sum(fold(t) in trained for t in table.rows["text"][:])})
            for part, table in self.tables.items()
        }

    def _read(self) -> dict[str, Table]:
        files = {part: path for part, path in self.files.items() if path is not None}
        read = {part: read_table(Path(path).expanduser(), self.columns, self.bad_rows) for part, path in files.items()}
        if self.dataset is not None:
            return with_files(read_hub_tables(self.dataset, self.columns, self.bad_rows), read)
        return read if "train" in read else {**self._generated(), **read}

    def _generated(self) -> dict[str, Table]:
        if self.synthetic is None:
            raise UserError(
                "no training data: give --data.train_file, --data.dataset, or a generator as --data.synthetic"
            )
        columns = Columns("text", self.synthetic.label_column, self.synthetic.complexity_column)
        return {part: read_table(Path(path), columns, "error") for part, path in self.synthetic.write().items()}

    def _known(self, train: Table, table: Table) -> Table:
        strange = {}
        for column in ("label", "complexity"):
            known = {*train.rows[column][:], ""}
            if known == {""}:
                continue  # training has no complexity, and the model no head for it
            for i, value in enumerate(table.rows[column][:]):
                if value not in known:
                    strange[i] = f"{column} {value!r} never occurs in training"
        return drop_or_refuse(table, strange, self.bad_rows)

    def _tokenise(self, table: Table) -> Dataset:
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
        return cached_rows(table.rows.select_columns(["text", "label", "complexity"]), encode, self.tokenizer, settings)


def split_off(table: Table, share: float, seed: int) -> tuple[Table, Table]:
    """Cuts a `share` of every label's texts off, shuffled by `seed`; the last of them stays in training.

    All rows of a text, whatever its case and spacing, go together; with several labels, it is the rarest's.
    What was dropped from the file before stays with the first.
    """
    generator = np.random.default_rng(seed)
    texts, labels = numbered(map(fold, table.rows["text"])), numbered(table.rows["label"])
    by_text = np.lexsort((labels, np.bincount(labels)[labels], texts))
    _, firsts = np.unique(texts[by_text], return_index=True)
    rows = np.sort(by_text[firsts])  # one of each text
    shuffled = [generator.permutation(rows[labels[rows] == label]) for label in np.unique(labels)]
    counts = allotted([len(of_label) for of_label in shuffled], share, generator)
    chosen = np.concatenate([of_label[:count] for of_label, count in zip(shuffled, counts, strict=True)])
    if not len(chosen):
        raise UserError(
            f"{table.path} has too few different texts to split off a share of {share:g}: "
            "give the parts as files of their own"
        )
    taken = np.isin(texts, texts[chosen])
    return (
        replace(table, rows=table.rows.select(np.flatnonzero(~taken))),
        Table(table.path, table.rows.select(np.flatnonzero(taken))),
    )


def collate(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Rows -> `input_ids`, `attention_mask` [rows, longest], `labels`, `complexity`, `row` [rows], all int64.

    `row` is the row's number in its part, by which to find what is kept of it elsewhere.
    """
    ids, mask = pad([row["input_ids"] for row in rows])
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": torch.tensor([row["target"] for row in rows]),
        "complexity": torch.tensor([row["complexity_target"] for row in rows]),
        "row": torch.tensor([row["row"] for row in rows]),
    }
