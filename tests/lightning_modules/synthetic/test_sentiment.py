"""Generated reviews: same bytes, balanced, split by wording, and not told by their words."""

import hashlib
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from lightning_modules.evaluation.classification_metrics import baseline_metrics
from lightning_modules.synthetic.__main__ import main
from lightning_modules.synthetic.draws import SPLITS
from lightning_modules.synthetic.library import load_library
from lightning_modules.synthetic.sentiment import KINDS, SHARED_POOLS, TEMPLATES, Row, generate

Splits = dict[str, list[Row]]
SMALL_SHA256 = "ade1d2258619ac188fb140a5b3cf3e5c896fdf03bb4f4d71223a214c0ec875e9"


@pytest.fixture(scope="module")
def full() -> Splits:
    return generate(examples=4000, seed=0)


def test_same_seed_same_bytes_on_every_python(tmp_path: Path) -> None:
    main(["sentiment", "--out", str(tmp_path), "--examples", "200", "--seed", "7"])
    digest = hashlib.sha256(b"".join((tmp_path / f"{split}.csv").read_bytes() for split in SPLITS)).hexdigest()
    assert digest == SMALL_SHA256, "data changed: if templates changed on purpose, store the new digest"


def test_another_seed_gives_other_rows() -> None:
    first, second = ({row.text for row in generate(200, seed)["train"]} for seed in (0, 1))
    assert len(first & second) < len(first) / 2


def test_sizes_and_balance(full: Splits) -> None:
    assert {split: len(rows) for split, rows in full.items()} == {"train": 3200, "val": 400, "test": 400}
    for rows in full.values():
        assert Counter(row.label for row in rows) == {"positive": len(rows) // 2, "negative": len(rows) // 2}
        assert {row.kind for row in rows} == set(KINDS)
        assert len({row.domain for row in rows}) == 6


def test_texts_are_unique_and_complete(full: Splits) -> None:
    texts = [row.text for rows in full.values() for row in rows]
    assert len({text.casefold() for text in texts}) == len(texts)
    assert not [text for text in texts if re.search(r"[{}\[\]|]", text)]
    assert not [text for text in texts if not text[0].isupper() or text[-1] not in ".!?"]


@pytest.mark.parametrize("seed", range(3))
def test_no_template_that_made_a_review_made_one_of_another_split(seed: int) -> None:
    splits = generate(1000, seed)
    used = {
        split: {entry for row in rows for entry in row.trace if not SHARED_POOLS.fullmatch(entry.partition(": ")[0])}
        for split, rows in splits.items()
    }
    assert all(row.trace for rows in splits.values() for row in rows)
    for one, other in combinations(SPLITS, 2):
        assert not used[one] & used[other]


def test_no_wording_stands_in_two_places() -> None:
    entries = Counter(wording for pool in load_library(TEMPLATES).values() for family in pool for wording in family)
    assert [entry for entry, number in entries.items() if number > 1] == []


def test_a_mixed_review_holds_words_of_the_other_label(full: Splits) -> None:
    for row in full["train"]:
        other = {"positive": "negative", "negative": "positive"}[row.label]
        has_other = any(f".{other}: " in entry for entry in row.trace)
        assert has_other == (row.kind != "plain"), row


def test_words_alone_do_not_give_the_label_away(full: Splits) -> None:
    columns = {
        split: {"text": [row.text for row in rows], "label": [row.label for row in rows]}
        for split, rows in full.items()
    }
    assert baseline_metrics(columns["train"], columns["test"])["accuracy"] < 0.65


def test_asking_for_too_few_or_too_many_says_what_to_change() -> None:
    with pytest.raises(SystemExit, match="give 20 or more"):
        main(["sentiment", "--examples", "3"])
