"""Test the official SQuAD v1.1 metrics: literal results of evaluate-v1.1.py, and properties of any texts."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torchmetrics.functional.text import squad

from archives.squad_metric import evaluate, exact_match, f1, normalise

# prediction, references, exact match and F1 as the official script computes them
OFFICIAL = [
    ("The  Beatles!", ["beatles"], 1.0, 1.0),
    ("a 20%–30% share", ["20–30 share", "20%–30% share"], 1.0, 1.0),
    ("É. Piaf", ["édith Piaf", "e piaf"], 0.0, 0.5),
    ("the the cat cat", ["cat"], 0.0, 0.6666666666666666),
    ("New York City", ["New York", "city of New York City"], 0.0, 0.8),
    ("Denver Broncos", ["Carolina Panthers"], 0.0, 0.0),
    ("U.S.", ["US"], 1.0, 1.0),
    ("$1,000", ["1000"], 1.0, 1.0),
    ("a-an", ["aan"], 1.0, 1.0),
    ("“the” end", ["end"], 0.0, 0.5),  # only ASCII punctuation is removed
    ("An\u00a0apple", ["apple"], 1.0, 1.0),
    ("İstanbul", ["i̇stanbul"], 1.0, 1.0),
    ("the_cat", ["thecat"], 1.0, 1.0),
    ("", ["x"], 0.0, 0.0),
    ("", ["the"], 1.0, 0.0),  # normalisation empties both: they are equal, but have no word in common
    ("the", ["a"], 1.0, 0.0),
]

# Words for random texts, some of which normalisation changes.
WORDS = st.sampled_from(["the", "A", "an", "cat", "Cat.", "cats", "1,000", "1000", "é", "…", "--", "北京", "🙂", "\t"])
TEXTS = st.lists(WORDS, max_size=6).map(" ".join) | st.text(max_size=20)
REFERENCES = st.lists(TEXTS, min_size=1, max_size=4)


@pytest.mark.parametrize(("prediction", "references", "matched", "overlap"), OFFICIAL)
def test_equals_the_official_script(prediction: str, references: list[str], matched: float, overlap: float) -> None:
    assert exact_match(prediction, references) == matched
    assert f1(prediction, references) == overlap


def test_the_mean_equals_that_of_the_official_script_to_the_last_digit() -> None:
    metrics = evaluate((prediction, references) for prediction, references, *_ in OFFICIAL)
    assert metrics == {"exact_match": 62.5, "f1": 65.41666666666667}


def test_no_answers_and_no_references_are_errors() -> None:
    with pytest.raises(ValueError, match="no answers"):
        evaluate([])
    with pytest.raises(ValueError, match="empty"):
        f1("x", [])


@settings(deadline=None)
@given(TEXTS, REFERENCES)
def test_equals_torchmetrics(prediction: str, references: list[str]) -> None:
    assume(normalise(prediction))  # torchmetrics counts an empty answer as SQuAD v2 does
    target = {"id": "0", "answers": {"text": references, "answer_start": [0] * len(references)}}
    other = squad({"id": "0", "prediction_text": prediction}, target)
    assert 100 * exact_match(prediction, references) == pytest.approx(float(other["exact_match"]))
    assert 100 * f1(prediction, references) == pytest.approx(float(other["f1"]), abs=1e-4)


@given(TEXTS, REFERENCES, TEXTS)
def test_another_reference_never_lowers_a_metric(prediction: str, references: list[str], more: str) -> None:
    assert exact_match(prediction, references) <= exact_match(prediction, [*references, more])
    assert f1(prediction, references) <= f1(prediction, [*references, more]) <= 1


@given(TEXTS)
def test_case_punctuation_articles_and_spaces_are_ignored(text: str) -> None:
    assert exact_match(f" The {text} ,", [text]) == exact_match(text, [text]) == 1
    assert f1(text, [text]) == float(bool(normalise(text)))
