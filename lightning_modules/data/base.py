"""The base of the data modules: the sources of rows, their splits, and the tokenizer."""

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any

from datasets import Dataset
from jsonargparse import ArgumentParser
from lightning import LightningDataModule

from lightning_modules.data.sources import BadRows, with_files
from lightning_modules.data.splits import SPLITS, Split, with_missing_splits
from lightning_modules.errors import UserError
from lightning_modules.pretrained import EMBEDDED, load_tokenizer_json


class SplitData(LightningDataModule, ABC):
    """Base class of the data modules: training, validation and test rows from files, the hub or a generator.

    Args:
        train_file: file of training rows, gzipped or not; null: use `dataset`, or else generated data.
        val_file: file of validation rows; null: the split of `dataset`, or else a share of the training rows.
        test_file: file of test rows; null: the split of `dataset`, or else a share of the training rows.
        dataset: a hub name such as `stanfordnlp/sst2` or `squad`, or a local folder in hub layout, in place of the
            training file.
        val_share: share of the training rows that becomes a missing validation split.
        test_share: share of the training rows that becomes a missing test split.
        bad_rows: `error` names rows that cannot be used; `drop` drops and counts them.
        backbone: name of the backbone whose tokenizer to use; linked from the model.
        max_length: tokens that the model reads at once, special tokens included.
        batch_size: rows of a training batch on each device.
        min_steps_per_epoch: smallest number of optimizer steps in an epoch; if the rows make fewer, each epoch
            passes over them several times.
        seed: seed of the splits.
    """

    synthetic: Any

    def __init__(
        self,
        train_file: str | None = None,
        val_file: str | None = None,
        test_file: str | None = None,
        dataset: str | None = None,
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
        if train_file is not None and dataset is not None:
            raise UserError(
                f"data.train_file is {train_file} and data.dataset is {dataset}: give one of them, and null for the "
                "other"
            )
        self.files = {"train": train_file, "val": val_file, "test": test_file}
        self.dataset = dataset
        self.shares = {"test": test_share, "val": val_share}
        self.bad_rows = bad_rows
        self.backbone = backbone
        self.max_length = max_length
        self.batch_size = batch_size
        self.min_steps_per_epoch = min_steps_per_epoch
        self.seed = seed

    @abstractmethod
    def read_file(self, split: str, path: Path) -> Split:
        """Read a user's file."""

    @abstractmethod
    def read_generated(self, split: str, path: Path) -> Split:
        """Read a file that the generator wrote."""

    @abstractmethod
    def read_hub(self, name: str) -> dict[str, Split]:
        """Read the splits that a hub data set has."""

    @abstractmethod
    def split_off(self, split: Split, share: float) -> tuple[Split, Split]:
        """Split off a share of the rows; return the remaining rows, with all counts, and those taken."""

    @abstractmethod
    def checked(self, split: str, splits: dict[str, Split]) -> Split:
        """Return a split, checked against the others in `splits` and ready to use."""

    @abstractmethod
    def tokenise(self, split: Split) -> Dataset:
        """Turn a split into rows of token ids, cached on disk by content."""

    @cached_property
    def splits(self) -> dict[str, Split]:
        """The checked rows for training, validation and test."""
        splits = with_missing_splits(self._read(), self.shares, self.split_off)
        return {split: self.checked(split, splits) for split in SPLITS}

    @cached_property
    def tokenizer_json(self) -> str:
        return load_tokenizer_json(self.backbone)

    @cached_property
    def tokenised(self) -> dict[str, Dataset]:
        """The tokens of each split, see `tokenise`."""
        return {name: self.tokenise(split) for name, split in self.splits.items()}

    def setup(self, stage: str | None = None) -> None:
        _ = self.tokenised

    def _read(self) -> dict[str, Split]:
        files = {split: Path(file).expanduser() for split, file in self.files.items() if file is not None}
        read = {split: self.read_file(split, path) for split, path in files.items()}
        if self.dataset is not None:
            return with_files(self.read_hub(self.dataset), read)
        if "train" in read:
            return read
        if self.synthetic is None:
            raise UserError(
                "no training data: give --data.train_file, --data.dataset, or a generator as --data.synthetic"
            )
        generated = {split: Path(file) for split, file in self.synthetic.write().items()}
        return {split: self.read_generated(split, path) for split, path in generated.items()} | read


def data_module(settings: Any) -> Any:
    """Build a data module without a model and a trainer.

    Args:
        settings: `class_path` and `init_args`, as under `data` in a configuration.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningDataModule, "data")
    return parser.instantiate(parser.parse_object({"data": settings})).data
