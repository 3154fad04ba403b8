"""Public data sets, where a folder has them: CLINC150 and SST-2 as gzipped CSV files (text, label), and SQuAD."""

import os
from pathlib import Path

import pandas
import pytest

from archives.reading.options import ReadOptions
from archives.squad_metric import evaluate
from lightning_modules.data.classification import ClassificationData
from lightning_modules.data.sources import read_questions, read_texts
from lightning_modules.evaluation.classification_metrics import baseline_metrics

FOLDER = Path(os.environ.get("TEXT_BUNDLE_DATA", "../shared/data"))
pytestmark = pytest.mark.skipif(
    not (FOLDER / "clinc150_train.csv.gz").is_file(), reason=f"{FOLDER} has no data sets: set TEXT_BUNDLE_DATA"
)


def test_clinc150_is_read_whole_and_fits_the_models_length() -> None:
    files = {f"{part}_file": str(FOLDER / f"clinc150_{part}.csv.gz") for part in ("train", "val")}
    data = ClassificationData(**files, test_file=files["val_file"], max_length=64)
    assert [len(table.rows) for table in data.splits.values()] == [15_000, 3_000, 3_000]
    assert len(data.labels) == 150
    assert set(data.class_counts) == {100}
    lengths = [len(ids) for ids in data.tokenised["train"]["input_ids"][:]]
    assert max(lengths) < 64
    assert 8 < sum(lengths) / len(lengths) < 16


def test_the_baseline_on_sst2_is_what_the_literature_gives_bags_of_words() -> None:
    data = ClassificationData(train_file=str(FOLDER / "sst2_train.csv.gz"), test_file=str(FOLDER / "sst2_dev.csv.gz"))
    assert data.labels == ("negative", "positive")
    assert 0.77 < baseline_metrics(data.splits["train"].rows, data.splits["test"].rows)["accuracy"] < 0.85


def test_squad_is_read_whole() -> None:
    questions = read_questions(FOLDER / "squad_dev_a.json.gz", "error", check_starts=False)
    assert len(questions.rows) == len(set(questions.rows["id"][:])) == 5_665
    assert len(set(questions.rows["title"][:])) == 24
    assert questions.dropped == {}
    references = [answers["text"] for answers in questions.rows["answers"][:]]
    assert evaluate((texts[0], texts) for texts in references) == {"exact_match": 100.0, "f1": 100.0}
    # Each second reference against the others; the figures are the official script's.
    people = evaluate((texts[1], [texts[0], *texts[2:]]) for texts in references if len(texts) > 2)
    assert people == {"exact_match": 83.11618775655899, "f1": 92.24103807860449}


def test_sst2_as_parquet_files_is_what_it_is_as_csv(tmp_path: Path) -> None:
    for part in ("train", "dev"):
        pandas.read_csv(FOLDER / f"sst2_{part}.csv.gz").to_parquet(tmp_path / f"{part}.parquet")
    data = ClassificationData(
        train_file=str(tmp_path / "train.parquet"), val_file=str(tmp_path / "dev.parquet"), max_length=64
    )
    csv = read_texts(FOLDER / "sst2_dev.csv.gz", ReadOptions(), "error")
    assert list(data.splits["val"].rows["text"]) == list(csv.rows["text"])
    assert list(data.splits["val"].rows["label"]) == list(csv.rows["label"])
    assert data.labels == ("negative", "positive")
    assert len(data.splits["train"].rows) > 8 * len(data.splits["test"].rows)
