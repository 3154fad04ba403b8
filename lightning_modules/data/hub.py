"""Data sets by name: from the Hugging Face hub, or a local folder in its layout."""

from collections.abc import Mapping
from typing import TypeVar

from datasets import Dataset, load_dataset

from lightning_modules.errors import UserError

Part = TypeVar("Part")

PARTS = {"train": "train", "validation": "val", "test": "test"}


def load_parts(name: str) -> dict[str, tuple[str, Dataset]]:
    """The splits `train`, and where there are any `validation` and `test`, with their names, by part."""
    try:
        splits = load_dataset(name)
    except Exception as error:  # hub and network libraries raise what they like
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"data set {name!r} could not be loaded ({cause}). Without access to the hub give files: "
            "--data.train_file, --data.val_file"
        ) from error
    if "train" not in splits:
        raise UserError(f"data set {name!r} has no split train, only {', '.join(splits)}")
    return {PARTS[split]: (split, rows) for split, rows in splits.items() if split in PARTS}


def with_test(parts: Mapping[str, Part]) -> dict[str, Part]:
    """Where the test part is not public, the validation part stays apart for it until training is over."""
    if "test" in parts or "val" not in parts:
        return dict(parts)
    return {"test" if part == "val" else part: rows for part, rows in parts.items()}


def with_files(hub: Mapping[str, Part], files: Mapping[str, Part]) -> dict[str, Part]:
    """The hub's parts, `with_test`, and in place of them those that come from a user's files."""
    return {**(hub if "test" in files else with_test(hub)), **files}


def refuse_two_sources(train_file: str | None, dataset: str | None) -> None:
    """Raises UserError where both are given: one of them would not be read."""
    if train_file is not None and dataset is not None:
        raise UserError(
            f"data.train_file is {train_file} and data.dataset is {dataset}: give one of them, and null for the other"
        )
