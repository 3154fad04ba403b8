"""Test the data module: splits, labels, tokenisation and batches."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from lightning_modules.data.classification import ClassificationData
from lightning_modules.errors import UserError
from lightning_modules.labels import IGNORED
from lightning_modules.synthetic.intents import SyntheticIntents
from lightning_modules.synthetic.sentiment import SyntheticSentiment

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
    first, second = module().splits, module().splits
    assert {split: len(table.rows) for split, table in first.items()} == {"train": 80, "val": 10, "test": 10}
    texts = [text for table in first.values() for text in table.rows["text"]]
    assert len(set(texts)) == 100
    assert all(list(first[split].rows["text"]) == list(second[split].rows["text"]) for split in first)
    assert set(first["val"].rows["label"]) == {"a", "b", "c"}


def test_shares_are_of_the_whole_file(module: Any) -> None:
    sizes = {split: len(table.rows) for split, table in module(3000, test_share=0.3, val_share=0.3).splits.items()}
    assert sizes == {"train": 1200, "val": 900, "test": 900}


def test_a_small_number_of_rows_of_many_labels_is_split_to_the_shares(tmp_path: Path, module: Any) -> None:
    labels = tuple(f"label{i}" for i in range(77))
    splits = module(train_file=write(tmp_path / "few.csv", rows(77 * 5, labels))).splits
    assert {split: len(table.rows) for split, table in splits.items()} == {"train": 308, "val": 39, "test": 38}
    for split in ("val", "test"):
        assert max(Counter(splits[split].rows["label"]).values()) == 1
    assert set(splits["train"].rows["label"]) == set(labels)
    assert set(splits["test"].rows["label"]) != set(sorted(labels)[:38])  # drawn at random, not the first by name


def test_rare_labels_are_tested_too(tmp_path: Path, module: Any) -> None:
    rare = [(f"rare {i}", f"rare{i % 10}") for i in range(40)]
    splits = module(train_file=write(tmp_path / "rare.csv", [*rows(300), *rare])).splits
    tested = Counter(splits["test"].rows["label"])
    assert tested.total() == 34
    assert sum(count for label, count in tested.items() if label.startswith("rare")) == 4


def test_rows_of_one_text_stay_together(tmp_path: Path, module: Any) -> None:
    twice = [(text, label) for text, label in rows(60) for _ in range(2)]
    contradicting = [(text, "d") for text, _ in rows(20)]
    data = module(train_file=write(tmp_path / "twice.csv", [*twice, *contradicting]))
    texts = [set(table.rows["text"]) for table in data.splits.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 60
    assert len(texts[2]) == 6
    assert set(data.splits["train"].rows["label"]) == {"a", "b", "c", "d"}


def test_texts_that_differ_by_case_and_spacing_stay_together(tmp_path: Path, module: Any) -> None:
    alike = [(text, label) for plain, label in rows(60) for text in (plain, f" {plain.title()}  ")]
    splits = module(train_file=write(tmp_path / "alike.csv", alike)).splits
    texts = [{" ".join(text.lower().split()) for text in table.rows["text"]} for table in splits.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 60


def test_texts_that_are_cut_are_counted(tmp_path: Path, module: Any) -> None:
    long = [(" ".join(WORDS * 3), "a"), *rows(50)]
    data = module(train_file=write(tmp_path / "long.csv", long), test_file=write(tmp_path / "test.csv", long[:2]))
    cut = {split: metrics["truncated"] for split, metrics in data.summary().items()}
    assert (cut["train"] + cut["val"], cut["test"]) == (1, 1)
    data = module(train_file=write(tmp_path / "all.csv", [(f"{text} {long[0][0]}", label) for text, label in rows(50)]))
    assert data.notes() == ["40 of 40 training texts are cut to data.max_length 16 tokens"]
    assert module(max_length=64).notes() == []


def test_a_file_with_too_few_texts_to_split_is_reported(tmp_path: Path, module: Any) -> None:
    with pytest.raises(UserError, match=r"too few different texts to split off a share of 0\.1: give the splits"):
        _ = module(train_file=write(tmp_path / "two.csv", rows(4, ("a", "b")))).splits


def test_rows_dropped_before_the_split_are_counted(tmp_path: Path, module: Any) -> None:
    file = write(tmp_path / "gaps.csv", [*rows(60), ("", "a"), ("x", "")])
    dropped = {
        split: metrics["dropped"] for split, metrics in module(train_file=file, bad_rows="drop").summary().items()
    }
    assert dropped == {"train": {"empty text": 1, "missing label": 1}, "val": {}, "test": {}}


def test_another_seed_gives_another_split(module: Any) -> None:
    assert list(module(seed=1).splits["test"].rows["text"]) != list(module(seed=2).splits["test"].rows["text"])


def test_a_label_of_one_row_stays_in_training(tmp_path: Path, module: Any) -> None:
    file = write(tmp_path / "rare.csv", [*rows(40), ("only once", "rare")])
    assert "rare" in module(train_file=file).labels


def test_a_label_only_in_test_is_named(tmp_path: Path, module: Any) -> None:
    test = write(tmp_path / "test.csv", [*rows(6), ("x", "unheard")])
    with pytest.raises(UserError, match=r"test\.csv: row 7: label 'unheard' never occurs in training"):
        _ = module(test_file=test).splits
    assert module(test_file=test, bad_rows="drop").summary()["test"]["dropped"] == {
        "label 'unheard' never occurs in training": 1
    }


def test_one_label_is_refused(tmp_path: Path, module: Any) -> None:
    with pytest.raises(UserError, match="all rows have the label 'a'"):
        _ = module(train_file=write(tmp_path / "one.csv", rows(20, ("a",)))).class_counts


def test_no_data_at_all_is_refused() -> None:
    with pytest.raises(UserError, match=r"--data\.train_file"):
        _ = ClassificationData().splits


def test_without_a_complexity_column_there_is_no_complexity_head(module: Any) -> None:
    assert module().complexity_labels == ()


def test_a_missing_complexity_column_is_reported(module: Any) -> None:
    with pytest.raises(UserError, match=r"no values in a column 'levle': correct --data\.complexity_column"):
        _ = module(complexity_column="levle").complexity_labels


def test_rows_whose_text_is_trained_on_are_counted(tmp_path: Path, module: Any) -> None:
    test = write(tmp_path / "test.csv", [rows(1)[0], (rows(2)[1][0].upper(), "b"), ("new", "a")])
    assert module(test_file=test, val_file=test).summary()["test"]["also_in_training"] == 2


def test_complexity_levels_stand_in_their_order_and_may_be_blank(tmp_path: Path, module: Any) -> None:
    levels = ["high", "low", "medium", ""]
    lines = [f"{text},{label},{levels[i // 3 % 4]}" for i, (text, label) in enumerate(rows(60))]
    (tmp_path / "c.csv").write_text("\n".join(["text,label,level", *lines]))
    data = module(train_file=str(tmp_path / "c.csv"), complexity_column="level")
    assert data.complexity_labels == ("low", "medium", "high")
    assert IGNORED in data.tokenised["train"]["complexity_target"]


def test_a_complexity_that_only_the_test_file_has_is_left_alone(tmp_path: Path, module: Any) -> None:
    (tmp_path / "t.csv").write_text("text,label,level\nx,a,low\n")
    data = module(test_file=str(tmp_path / "t.csv"))
    assert data.complexity_labels == ()
    assert list(data.tokenised["test"]["complexity_target"]) == [IGNORED]


def test_a_users_test_file_goes_with_generated_training_data(tmp_path: Path, module: Any) -> None:
    test = str(tmp_path / "mine.csv")
    Path(test).write_text("question,kind\nhello there,conversation\n")
    data = module(
        train_file=None,
        test_file=test,
        synthetic=SyntheticIntents(str(tmp_path / "made"), 20, 0),
        text_column="question",
        label_column="kind",
    )
    assert list(data.splits["test"].rows["text"]) == ["hello there"]
    assert len(data.splits["train"].rows) == 160


def test_generated_files_are_replaced_only_when_they_change(tmp_path: Path) -> None:
    paths = SyntheticIntents(str(tmp_path), 10, 0).write()
    before = Path(paths["train"]).stat()
    SyntheticIntents(str(tmp_path), 10, 0).write()
    assert Path(paths["train"]).stat().st_mtime_ns == before.st_mtime_ns
    SyntheticIntents(str(tmp_path), 10, 0, seed=1).write()
    assert Path(paths["train"]).stat().st_ino != before.st_ino
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test.csv", "train.csv", "val.csv"]


@pytest.mark.parametrize("wrong", [{"augment": 1.5}, {"edge_cases": -1}])
def test_wrong_settings_of_the_generator_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        SyntheticIntents(**wrong)


def test_texts_are_tokenised_once_and_then_read_from_the_cache(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = module().tokenised["train"][0]
    monkeypatch.setattr("handlers.text.tokenization.TextTokenizer.tokenize", None)
    assert module().tokenised["train"][0] == first


def test_batches_are_padded_to_their_longest_row(module: Any) -> None:
    for batch in module(batch_size=8).train_dataloader():
        assert batch["attention_mask"].sum(dim=1).max() == batch["input_ids"].shape[1] <= 16
        assert (batch["input_ids"] * (1 - batch["attention_mask"]) == 0).all()


def test_a_small_number_of_rows_is_repeated_within_an_epoch(module: Any) -> None:
    """Train on 40 of 50 rows: 2.5 batches of 16, four times."""
    once, often = (module(50, batch_size=16, min_steps_per_epoch=steps).train_dataloader() for steps in (1, 10))
    assert (len(once), len(often)) == (3, 10)
    seen = Counter(row for batch in often for row in batch["row"].tolist())
    assert seen == dict.fromkeys(range(40), 4)


@pytest.fixture
def hub(tmp_path: Path) -> str:
    """Write a local folder like the hub's SST-2: named classes, and a test split whose labels are withheld."""
    features = Features({"sentence": Value("string"), "label": ClassLabel(names=["negative", "positive"])})
    folder = tmp_path / "hub" / "data"
    folder.mkdir(parents=True)
    for split, count in (("train", 40), ("validation", 6), ("test", 4)):
        texts = [text for text, _ in rows(count)]
        examples = [{"sentence": text, "label": -1 if split == "test" else i % 2} for i, text in enumerate(texts)]
        Dataset.from_list(examples, features=features).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return str(tmp_path / "hub")


def test_a_hub_data_set_gives_its_class_names_and_keeps_its_validation_part_for_the_test(module: Any, hub: str) -> None:
    data = module(train_file=None, dataset=hub, text_column="sentence")
    assert data.labels == ("negative", "positive")
    assert {split: len(table.rows) for split, table in data.splits.items()} == {"train": 36, "val": 4, "test": 6}
    assert list(data.splits["test"].rows["label"]) == ["negative", "positive"] * 3


def test_files_stand_in_for_parts_of_a_hub_data_set(tmp_path: Path, module: Any, hub: str) -> None:
    file = tmp_path / "own.csv"
    file.write_text("sentence,label\nfine,positive\nbad,negative\n")
    data = module(train_file=None, dataset=hub, test_file=str(file), text_column="sentence")
    assert list(data.splits["test"].rows["text"]) == ["fine", "bad"]
    assert [len(data.splits[split].rows) for split in ("train", "val")] == [40, 6]  # those of the hub


def test_a_training_file_and_a_hub_data_set_contradict_each_other(module: Any, hub: str) -> None:
    with pytest.raises(UserError, match=r"data\.train_file is .* and data\.dataset is .*: give one of them"):
        module(dataset=hub)


def test_a_hub_data_set_without_the_column_names_those_it_has(module: Any, hub: str) -> None:
    with pytest.raises(UserError, match=r"set --data\.text_column to one of sentence, label"):
        _ = module(train_file=None, dataset=hub).splits


def test_generated_reviews_have_two_labels_and_no_complexity(tmp_path: Path, module: Any) -> None:
    data = module(train_file=None, synthetic=SyntheticSentiment(str(tmp_path / "made"), 60))
    assert data.labels == ("negative", "positive")
    assert data.complexity_labels == ()
    assert {split: len(table.rows) for split, table in data.splits.items()} == {"train": 48, "val": 6, "test": 6}
