import hashlib
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from lightning_modules.errors import UserError
from lightning_modules.evaluation.classification_metrics import baseline_metrics
from lightning_modules.synthetic.__main__ import main
from lightning_modules.synthetic.draws import SPLITS
from lightning_modules.synthetic.intents.edge_cases import KINDS
from lightning_modules.synthetic.intents.generator import INTENTS, TEMPLATES, Row, generate
from lightning_modules.synthetic.library import SLOT, load_library, split_library

Splits = dict[str, list[Row]]
SMALL = ("--examples-per-intent", "20", "--edge-cases", "100", "--seed", "7", "--augment", "0.1")
SMALL_SHA256 = "506087457f2e76a4fa18de4c7f0cc4cacecd117fb19ab37696291f532c0b272a"


@pytest.fixture(scope="module")
def full() -> Splits:
    return generate(examples_per_intent=500, edge_cases=1000, seed=0)


def digest(folder: Path) -> str:
    return hashlib.sha256(b"".join((folder / f"{split}.csv").read_bytes() for split in SPLITS)).hexdigest()


def test_same_seed_same_bytes_on_every_python(tmp_path: Path) -> None:
    main(["intents", "--out", str(tmp_path), *SMALL])
    assert digest(tmp_path) == SMALL_SHA256, "data changed: if templates changed on purpose, store the new digest"


def test_another_seed_gives_other_rows() -> None:
    first, second = ({row.text for row in generate(10, 20, seed)["train"]} for seed in (0, 1))
    assert len(first & second) < len(first) / 2


def test_sizes_and_balance(full: Splits) -> None:
    assert {split: len(rows) for split, rows in full.items()} == {"train": 4800, "val": 600, "test": 600}
    for rows in full.values():
        assert set(Counter(row.intent for row in rows).values()) == {len(rows) // 10}
        levels = Counter(row.complexity for row in rows)
        assert set(levels) == {"low", "medium", "high"}
        assert min(levels.values()) > 0.25 * len(rows)
    assert {row.kind for row in full["train"]} == {"regular", *KINDS}


def test_texts_are_unique_and_complete(full: Splits) -> None:
    texts = [row.text for rows in full.values() for row in rows]
    assert len({text.casefold() for text in texts}) == len(texts)
    # a slot that is left over names a filler list
    lists = "|".join(name.split(".")[-1] for name in load_library(TEMPLATES))
    assert not [text for text in texts if re.search(r"\{(" + lists + r"|aside|request)\d?\}|\{\d+-\d+\}", text)]


@pytest.mark.parametrize("seed", range(5))
def test_the_splits_share_no_wording(seed: int) -> None:
    library = load_library(TEMPLATES)
    parts = split_library(library, seed)
    for name, pool in library.items():
        assert sorted(pool) == sorted(family for split in SPLITS for family in parts[split][name])
    wordings = {
        split: {wording for pool in part.values() for family in pool for wording in family}
        for split, part in parts.items()
    }
    for one, other in combinations(SPLITS, 2):
        assert not wordings[one] & wordings[other]


@pytest.mark.parametrize("seed", range(3))
def test_no_entry_that_made_a_row_made_a_row_of_another_split(seed: int) -> None:
    splits = generate(examples_per_intent=500, edge_cases=1000, seed=seed)
    used = {split: {entry for row in rows for entry in row.trace} for split, rows in splits.items()}
    assert all(row.trace for rows in splits.values() for row in rows)
    for one, other in combinations(SPLITS, 2):
        assert not used[one] & used[other]


def test_no_filler_of_one_split_occurs_in_the_text_of_an_earlier_one(full: Splits) -> None:
    fillers = {
        split: {entry.split(": ", 1)[1] for row in rows for entry in row.trace if entry.startswith("shared.fillers.")}
        for split, rows in full.items()
    }
    for seen, unseen in (("train", "val"), ("train", "test"), ("val", "test")):
        corpus = "\n".join(row.text for row in full[seen] if row.kind != "typos").casefold()
        assert not [phrase for phrase in fillers[unseen] if occurs(phrase, corpus)]


def test_no_filler_stands_inside_another_entry() -> None:
    """Otherwise a phrase dealt to test could reach training inside a longer one."""
    library = load_library(TEMPLATES)
    entries = Counter(wording.casefold() for pool in library.values() for family in pool for wording in family)
    assert not [entry for entry, number in entries.items() if number > 1]
    corpus = "\n".join(entries)
    fillers = [family[0] for name, pool in library.items() if name.startswith("shared.fillers.") for family in pool]
    assert not [phrase for phrase in fillers if occurs(phrase, corpus, times=2)]


def occurs(phrase: str, corpus: str, times: int = 1) -> bool:
    phrase = phrase.casefold()
    if corpus.count(phrase) < times:  # quick, and rules out nearly all
        return False
    return len(re.findall(r"(?<!\w)" + re.escape(phrase) + r"(?!\w)", corpus)) >= times


def test_every_slot_has_its_list() -> None:
    library = load_library(TEMPLATES)
    for name, pool in library.items():
        if name.startswith("shared.fillers."):
            continue
        for family in pool:
            for wording in family:
                for match in SLOT.finditer(wording):
                    known = match[1] is None or match[1] in ("aside", "request")
                    assert known or f"shared.fillers.{match[1]}" in library, (name, wording)


def test_every_intent_has_families_enough() -> None:
    library = load_library(TEMPLATES)
    for intent in INTENTS:
        assert len(library[f"{intent}.families"]) >= 40
        assert all(len(family) >= 3 for family in library[f"{intent}.families"])


def test_augmentation_adds_to_training_only() -> None:
    plain, noisy = generate(30, 50, seed=3), generate(30, 50, seed=3, augment=0.5)
    assert noisy["val"] == plain["val"]
    assert noisy["test"] == plain["test"]
    size = len(plain["train"])
    assert noisy["train"][:size] == plain["train"]
    added = noisy["train"][size:]
    assert len(added) == round(size * 0.5)
    assert {row.kind for row in added} == {"augmented"}


def test_asking_for_too_much_says_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_modules.synthetic.intents.edge_cases.LOTTERY", ("other_language",))
    monkeypatch.setattr("lightning_modules.synthetic.intents.generator.LOTTERY", ("other_language",))
    with pytest.raises(UserError, match="--edge-cases"):
        generate(0, 1000, seed=0)


@pytest.mark.parametrize("option", [("--augment", "1.5"), ("--edge-cases", "-1")])
def test_a_wrong_option_is_refused(option: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["intents", "--out", str(tmp_path), *option])


def test_surface_words_do_not_give_the_intent_away(full: Splits) -> None:
    columns = {
        split: {"text": [row.text for row in rows], "intent": [row.intent for row in rows]}
        for split, rows in full.items()
    }
    figures = baseline_metrics(columns["train"], columns["test"], label="intent")
    assert 0.5 < figures["accuracy"] < 0.8
