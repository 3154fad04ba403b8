"""Test the data of questions: windows with their answers, splits, limits, and whole questions in validation."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.text.windows import Tokens, WindowTokenizer
from lightning_modules.data.question_windows import answer_positions, collate, window_rows
from lightning_modules.errors import UserError
from tests.support.question_data import question_data, write_squad
from tests.support.tiny_export import tiny_tokenizer

TOKENIZER = WindowTokenizer(tiny_tokenizer().to_str(), max_length=24, doc_stride=6, max_question_length=8)


@given(st.text(alphabet="abe\u0301 ñ🎉אب\r\n.", min_size=1, max_size=80), st.data())
@settings(deadline=None, max_examples=200)
def test_a_window_that_holds_the_answer_points_to_its_characters(context: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(context) - 1))
    text = context[start : data.draw(st.integers(start + 1, len(context)))]
    question, tokens = TOKENIZER.tokenize(["where is it?", context])
    windows = TOKENIZER.windows(question, tokens)
    answers = {"text": [text], "answer_start": [start]}
    touched = [offsets for offsets in tokens.offsets if offsets[0] < start + len(text) and offsets[1] > start]
    for window, (first, last) in zip(windows, answer_positions(windows, tokens, 6, answers), strict=True):
        held = [offsets for offsets in window.offsets if offsets in touched]
        if touched and len(held) == len(touched):
            assert window.offsets[first - window.first] == touched[0]
            assert window.offsets[last - window.first] == touched[-1]
        else:
            assert (first, last) == (0, 0)


def test_a_long_context_becomes_windows_that_share_tokens_and_end_with_the_context() -> None:
    context = " ".join(f"{i}" for i in range(60))
    question, tokens = TOKENIZER.tokenize(["what is it", context])
    windows = TOKENIZER.windows(question, tokens)
    assert all(len(window.ids) == 24 for window in windows[:-1])
    for left, right in pairwise(windows):
        assert left.offsets[-6:] == right.offsets[:6]
    assert windows[-1].offsets[-1][1] == len(context)


def test_only_the_context_and_the_first_token_may_answer() -> None:
    row = {"input_ids": [2, 9, 9, 3, 7, 8, 3], "first": 4, "question": 0, "start": 4, "end": 5}
    longer = {**row, "input_ids": [2, 9, 3, 7, 7, 7, 7, 7, 3], "first": 3}
    allowed = collate([row, longer], max_length=24)["allowed"]
    assert allowed[0].nonzero().flatten().tolist() == [0, 4, 5]
    assert allowed[1].nonzero().flatten().tolist() == [0, 3, 4, 5, 6, 7]


WIDTHS = [(7, 7), (31, 31), (33, 34), (65, 68), (129, 136), (370, 384), (381, 381)]


@pytest.mark.parametrize(("longest", "width"), WIDTHS)
def test_batches_have_a_limited_number_of_widths_and_none_above_the_limit(longest: int, width: int) -> None:
    row = {"input_ids": [1] * longest, "first": 1, "question": 0, "start": 0, "end": 0}
    batch = collate([row], max_length=381 if longest == 381 else 384)
    assert batch["input_ids"].shape == (1, width)
    assert int(batch["attention_mask"].sum()) == longest
    assert int(batch["allowed"].sum()) == longest - 1  # not the closing token


def test_the_split_keeps_articles_together(tmp_path: Path, tiny_backbone: Path) -> None:
    splits = question_data(tmp_path, tiny_backbone, val_share=0.2, test_share=0.2).splits
    titles = {split: set(questions.rows["title"]) for split, questions in splits.items()}
    assert [len(titles[split]) for split in ("train", "val", "test")] == [4, 1, 1]
    assert len(set.union(*titles.values())) == 6


def test_questions_without_titles_are_split_by_context(tmp_path: Path, tiny_backbone: Path) -> None:
    path = tmp_path / "flat.jsonl"
    rows = [
        {"question": f"who {i}?", "context": f"tom {i // 2} ran", "answers": {"text": ["tom"], "answer_start": [0]}}
        for i in range(20)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    splits = question_data(tmp_path, tiny_backbone, train_file=str(path)).splits
    contexts = [set(splits[split].rows["context"]) for split in ("train", "val", "test")]
    assert sum(map(len, contexts)) == len(set.union(*contexts)) == 10


@pytest.mark.parametrize(
    ("titles", "sizes"),
    [
        (["manual"] * 95 + ["faq"] * 5, {"train": 84, "val": 11, "test": 5}),  # the small article, then single contexts
        (["a"] * 34 + ["b"] * 33 + ["c"] * 33, {"train": 80, "val": 10, "test": 10}),
        ([""] * 50 + ["a"] * 50, {"train": 80, "val": 10, "test": 10}),
    ],
)
def test_parts_have_their_share_however_large_articles_are(
    tmp_path: Path, tiny_backbone: Path, titles: list[str], sizes: dict[str, int]
) -> None:
    path = tmp_path / "flat.jsonl"
    answers = {"text": ["tom"], "answer_start": [0]}
    rows = [
        {"title": title, "question": "who?", "context": f"tom {i} ran", "answers": answers}
        for i, title in enumerate(titles)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    splits = question_data(tmp_path, tiny_backbone, train_file=str(path)).splits
    assert {split: len(questions.rows) for split, questions in splits.items()} == sizes


def test_a_small_number_of_questions_is_repeated_within_an_epoch(tmp_path: Path, tiny_backbone: Path) -> None:
    file = str(write_squad(tmp_path / "few.json", words=1))
    data = question_data(
        tmp_path, tiny_backbone, train_file=file, val_file=file, test_file=file, min_steps_per_epoch=10
    )
    seen = Counter(question for batch in data.train_dataloader() for question in batch["question"].tolist())
    windows = data.tokenised["train"]["question"][:]
    assert seen == Counter(windows * ceil(10 * 8 / len(windows)))


def test_answers_that_training_cannot_teach_are_reported(tmp_path: Path, tiny_backbone: Path) -> None:
    context = "it is the capital of a country . " * 10
    rows = [
        {"question": f"what {i}?", "context": f"{i} {context}", "answers": {"text": [text], "answer_start": [2]}}
        for i, text in enumerate([context[:5], context[:40], context[:200]])
    ]
    path = tmp_path / "long.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    splits = {f"{split}_file": str(path) for split in ("train", "val", "test")}
    assert question_data(tmp_path, tiny_backbone, **splits, max_answer_tokens=5).notes() == [
        "1 of 3 training answers are longer than data.max_answer_tokens 5, and are never returned",
        "1 of 3 training answers do not fit into any window, and are learned as no answer: raise data.doc_stride",
    ]
    assert question_data(tmp_path, tiny_backbone).notes() == []


def test_articles_with_a_paragraph_in_common_stay_on_one_side(tmp_path: Path, tiny_backbone: Path) -> None:
    path = tmp_path / "flat.jsonl"
    rows = [
        {
            "title": f"{i}",
            "question": "who?",
            "context": f"tom {context} ran",
            "answers": {"text": ["tom"], "answer_start": [0]},
        }
        for i in range(20)
        for context in (f"{i} himself", f"pair {i // 2}")
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    splits = question_data(tmp_path, tiny_backbone, train_file=str(path), val_share=0.3, test_share=0.3).splits
    contexts = [set(splits[split].rows["context"]) for split in ("train", "val", "test")]
    assert sum(map(len, contexts)) == len(set.union(*contexts)) == 30


@pytest.fixture
def hub(tmp_path: Path) -> str:
    """Write a local folder like the hub's SQuAD, which has no public test split."""
    (tmp_path / "hub" / "data").mkdir(parents=True)
    for split, count in (("train", 20), ("validation", 5)):
        rows = [
            {
                "id": f"{split}{i}",
                "title": f"t{i}",
                "context": f"tom {i} ran",
                "question": "who?",
                "answers": {"text": ["tom"], "answer_start": [0]},
            }
            for i in range(count)
        ]
        Dataset.from_list(rows).to_parquet(tmp_path / "hub" / "data" / f"{split}-00000-of-00001.parquet")
    return str(tmp_path / "hub")


def test_the_validation_part_of_a_hub_data_set_without_a_test_part_becomes_the_test(
    tmp_path: Path, tiny_backbone: Path, hub: str
) -> None:
    splits = question_data(tmp_path, tiny_backbone, train_file=None, dataset=hub).splits
    assert {split: len(questions.rows) for split, questions in splits.items()} == {"train": 18, "val": 2, "test": 5}
    assert list(splits["test"].rows["id"]) == [f"validation{i}" for i in range(5)]


@pytest.mark.parametrize(
    ("replaced_split", "questions"),
    [
        ("val", {"train": 20, "val": 12, "test": 5}),
        ("test", {"train": 20, "val": 5, "test": 12}),
    ],
)
def test_files_stand_in_for_parts_of_a_hub_data_set(
    tmp_path: Path, tiny_backbone: Path, hub: str, replaced_split: str, questions: dict[str, int]
) -> None:
    user_file = {f"{replaced_split}_file": str(write_squad(tmp_path / "own.json"))}
    splits = question_data(tmp_path, tiny_backbone, train_file=None, dataset=hub, **user_file).splits
    assert {split: len(split_data.rows) for split, split_data in splits.items()} == questions
    assert set(splits[replaced_split].rows["question"]) == {"which place is it?", "what is it?"}


def test_a_limit_chooses_the_same_questions_each_time(tmp_path: Path, tiny_backbone: Path) -> None:
    chosen = [question_data(tmp_path, tiny_backbone, max_train_examples=3).splits["train"].rows["id"] for _ in "ab"]
    assert list(chosen[0]) == list(chosen[1])
    assert len(chosen[0]) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_length": 20}, "max_length is 20, but a question of 10 tokens and doc_stride 8 need 22"),
        ({"max_train_examples": 0}, "data.max_train_examples is 0"),
        ({"train_file": None}, "no training data"),
        ({"dataset": "squad"}, "data.train_file is .*squad.json and data.dataset is squad: give one of them"),
        ({"val_share": 1.5}, "data.val_share is 1.5: give one between 0 and 0.9"),
    ],
)
def test_a_wrong_setting_is_reported(
    tmp_path: Path, tiny_backbone: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        question_data(tmp_path, tiny_backbone, **settings).setup()


def test_a_validation_batch_has_all_windows_of_its_questions_and_their_best_answers(
    tmp_path: Path, tiny_backbone: Path
) -> None:
    data = question_data(tmp_path, tiny_backbone, val_file=str(write_squad(tmp_path / "val.json")), batch_size=2)
    data.setup()
    windows = data.tokenised["val"]
    assert max(len(rows) for rows in data.windows_of["val"]) > 1
    answered = []
    for batch in data.val_dataloader():
        # These logits point at the first reference, where a window has it.
        logits = {name: torch.zeros(batch["input_ids"].shape) for name in ("start_logits", "end_logits")}
        for name in ("start", "end"):
            logits[f"{name}_logits"][torch.arange(len(batch[name])), batch[name]] = 9.0
        answered += list(data.answers(batch, logits))
    assert len(answered) == len(set(windows["question"])) == 12
    assert all(answer == references[0] for answer, references in answered)


def test_a_validation_batch_has_short_questions_however_long_the_contexts(tmp_path: Path, tiny_backbone: Path) -> None:
    long = str(write_squad(tmp_path / "long.json", words=9))
    data = question_data(tmp_path, tiny_backbone, val_file=long, batch_size=8)
    assert 16 > max(map(len, data.windows_of["val"])) > 8
    assert max(len(batch["question"]) for batch in data.val_dataloader()) <= 16
    short = str(write_squad(tmp_path / "short.json", words=1))
    together = question_data(tmp_path, tiny_backbone, val_file=short, batch_size=8)
    assert len(list(together.val_dataloader())) < 6
    alone = question_data(tmp_path, tiny_backbone, val_file=long, batch_size=1)
    assert [set(batch["question"].tolist()) for batch in alone.val_dataloader()] == [{i} for i in range(12)]


class RecordingTokenizer(WindowTokenizer):
    """Record how many texts and characters were tokenized at once."""

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        self.max_characters = max(getattr(self, "max_characters", 0), sum(map(len, texts)))
        return super().tokenize(texts)


def test_a_limited_number_of_long_contexts_is_made_into_windows_at_once(
    tmp_path: Path, tiny_backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_modules.data.question_windows.MAX_CHARACTERS", 3000)
    long = write_squad(tmp_path / "long.json", words=40)  # 1,300 characters each
    rows = question_data(tmp_path, tiny_backbone, val_file=str(long)).splits["val"].rows
    tokenizer = RecordingTokenizer(tiny_tokenizer().to_str(), 33, 8, 10)
    windows = window_rows(rows, tokenizer, "")
    assert tokenizer.max_characters <= 3000
    assert windows["question"][-1] == 11
