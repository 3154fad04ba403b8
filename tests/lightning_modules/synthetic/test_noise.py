import pytest

from lightning_modules.synthetic.draws import Draws
from lightning_modules.synthetic.intents import noise

TEXT = "Please write the summary of that long report, and keep the figures."


def test_typos_keep_the_text_recognisable() -> None:
    noisy = noise.typos(TEXT, Draws("typos"))
    assert noisy != TEXT
    assert len(noisy.split()) == len(TEXT.split())
    assert abs(len(noisy) - len(TEXT)) <= 6


@pytest.mark.parametrize("text", ["", "hi", "東京は？", "🙂"])
def test_typos_leave_texts_without_longer_words_alone(text: str) -> None:
    assert noise.typos(text, Draws(0)) == text


def test_without_punctuation_keeps_words_and_apostrophes() -> None:
    assert noise.without_punctuation("It's here - isn't it?\n- yes!", Draws(0)) == "It's here isn't it yes"


def test_only_small_words_are_dropped() -> None:
    kept = noise.dropped_words(TEXT, Draws(1)).split()
    assert [word for word in TEXT.split() if word not in ("the", "that", "of")] == [
        word for word in kept if word not in ("the", "that", "of")
    ]


def test_augmentation_is_repeatable() -> None:
    assert noise.add_noise(TEXT, Draws(5)) == noise.add_noise(TEXT, Draws(5))
    assert len({noise.add_noise(TEXT, Draws(seed)) for seed in range(20)}) > 10
