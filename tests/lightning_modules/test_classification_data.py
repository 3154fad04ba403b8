"""The data module: splits, labels, tokenisation and batches."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_modules.batching import LengthGroupedSampler, pad
from lightning_modules.classification_data import ClassificationData
from lightning_modules.classifier import IGNORED
from lightning_modules.errors import UserError

WORDS = ["translate", "this", "sentence", "into", "french", "or", "write", "a", "function", "that", "sorts"]


def write(path: Path, rows: list[tuple[str, str]]) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return str(path)


def rows(count: int, labels: tuple[str, ...] = ("a", "b", "c")) -> list[tuple[str, str]]:
    return [(" ".join(WORDS[: 1 + i % len(WORDS)]) + f" {i}", labels[i % len(labels)]) for i in range(count)]


@pytest.fixture
def module(tmp_path: Path, tiny_backbone: Path) -> Any:
    def build(count: int = 100, **settings: Any) -> ClassificationData:
        file = write(tmp_path / "train.csv", rows(count))
        return ClassificationData(**{"train_file": file, "backbone": str(tiny_backbone), "max_length": 16} | settings)

    return build


def test_missing_parts_are_split_off_stratified_and_the_same_each_time(module: Any) -> None:
    first, second = module().tables, module().tables
    assert {part: len(table.rows) for part, table in first.items()} == {"train": 82, "val": 9, "test": 9}
    texts = [text for table in first.values() for text in table.rows["text"]]
    assert len(set(texts)) == 100
    assert all(list(first[part].rows["text"]) == list(second[part].rows["text"]) for part in first)
    assert set(first["val"].rows["label"]) == {"a", "b", "c"}


def test_another_seed_gives_another_split(module: Any) -> None:
    assert list(module(seed=1).tables["test"].rows["text"]) != list(module(seed=2).tables["test"].rows["text"])


def test_a_label_of_one_row_stays_in_training(tmp_path: Path, module: Any) -> None:
    file = write(tmp_path / "rare.csv", [*rows(40), ("only once", "rare")])
    assert "rare" in module(train_file=file).labels


def test_a_label_only_in_test_is_named(tmp_path: Path, module: Any) -> None:
    test = write(tmp_path / "test.csv", [*rows(6), ("x", "unheard")])
    with pytest.raises(UserError, match=r"test\.csv: row 7: label 'unheard' never occurs in training"):
        _ = module(test_file=test).tables
    assert module(test_file=test, bad_rows="drop").summary()["test"]["dropped"] == {
        "label 'unheard' never occurs in training": 1
    }


def test_one_label_is_refused(tmp_path: Path, module: Any) -> None:
    with pytest.raises(UserError, match="all rows have the label 'a'"):
        _ = module(train_file=write(tmp_path / "one.csv", rows(20, ("a",)))).class_counts


def test_no_data_at_all_is_refused() -> None:
    with pytest.raises(UserError, match=r"--data\.train_file"):
        _ = ClassificationData().tables


def test_a_missing_complexity_column_means_no_complexity_head(module: Any) -> None:
    assert module(complexity_column="complexity").complexity_labels == ()


def test_complexity_levels_stand_in_their_order_and_may_be_blank(tmp_path: Path, module: Any) -> None:
    levels = ["high", "low", "medium", ""]
    lines = [f"{text},{label},{levels[i // 3 % 4]}" for i, (text, label) in enumerate(rows(60))]
    (tmp_path / "c.csv").write_text("\n".join(["text,label,level", *lines]))
    data = module(train_file=str(tmp_path / "c.csv"), complexity_column="level")
    assert data.complexity_labels == ("low", "medium", "high")
    assert IGNORED in data.tokenised["train"]["complexity_target"]


def test_texts_are_tokenised_once_and_then_read_from_the_cache(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = module().tokenised["train"][0]
    monkeypatch.setattr("handlers.text.tokenization.TextEncoder.encode", None)
    assert module().tokenised["train"][0] == first


def test_batches_are_padded_to_their_own_longest_row(module: Any) -> None:
    for batch in module(batch_size=8).train_dataloader():
        assert batch["attention_mask"].sum(dim=1).max() == batch["input_ids"].shape[1] <= 16
        assert (batch["input_ids"] * (1 - batch["attention_mask"]) == 0).all()


def test_padding_is_masked() -> None:
    ids, mask = pad([[5, 6, 7], [8]])
    assert torch.equal(ids, torch.tensor([[5, 6, 7], [8, 0, 0]]))
    assert torch.equal(mask, torch.tensor([[1, 1, 1], [1, 0, 0]]))


def test_the_sampler_covers_every_row_and_depends_on_the_epoch_alone() -> None:
    lengths = [i % 17 for i in range(1000)]
    order = {epoch: list(LengthGroupedSampler(lengths, 8, 0, lambda e=epoch: e)) for epoch in (0, 1)}
    assert sorted(order[0]) == sorted(order[1]) == list(range(1000))
    assert order[0] != order[1]
    assert order[0] == list(LengthGroupedSampler(lengths, 8, 0, lambda: 0))


def test_the_sampler_puts_similar_lengths_together() -> None:
    lengths = [i % 50 for i in range(1000)]
    order = list(LengthGroupedSampler(lengths, 10, 0, lambda: 0))
    spreads = [
        max(lengths[i] for i in order[s : s + 10]) - min(lengths[i] for i in order[s : s + 10])
        for s in range(0, 1000, 10)
    ]
    assert sum(spreads) / len(spreads) < 5
