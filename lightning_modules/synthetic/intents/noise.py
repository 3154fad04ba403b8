"""Add surface noise that leaves intent and complexity alone, for edge cases and for augmented training rows."""

import re
import string

from lightning_modules.synthetic.draws import Draws

WORD = re.compile(r"[A-Za-z]{4,}")
DROPPABLE = re.compile(r"\b(?:a|an|the|that|some|just|of)\b ?", re.IGNORECASE)
POLITE_STARTS = ("Hi there! ", "Good morning, ", "Excuse me, ", "Hey, quick one: ", "Dear assistant, ")
POLITE_ENDS = (" Thanks a lot!", " Much appreciated.", " Thank you in advance.", " Cheers!", " Many thanks.")


def typos(text: str, draws: Draws, rate: float = 0.15) -> str:
    """Misspell about the share `rate` of the words of four letters or more, at least one."""
    words = list(WORD.finditer(text))
    if not words:
        return text
    chosen = [word for word in words if draws.chance(rate)] or [draws.choice(words)]
    for word in reversed(chosen):  # from the end, so that earlier offsets stay true
        text = text[: word.start()] + _misspelt(word.group(), draws) + text[word.end() :]
    return text


def lower_case(text: str, draws: Draws) -> str:
    return text.lower()


def upper_case(text: str, draws: Draws) -> str:
    return text.upper()


def without_punctuation(text: str, draws: Draws) -> str:
    words = text.translate(str.maketrans("", "", string.punctuation.replace("'", "")))
    return " ".join(words.split())


def dropped_words(text: str, draws: Draws) -> str:
    """Leave out half of the small words."""
    return DROPPABLE.sub(lambda match: "" if draws.chance(0.5) else match.group(), text)


def polite(text: str, draws: Draws) -> str:
    if draws.chance(0.5):
        return draws.choice(POLITE_STARTS) + text
    return text + draws.choice(POLITE_ENDS)


def add_noise(text: str, draws: Draws) -> str:
    """Apply one or two kinds of noise."""
    kinds = (typos, lower_case, upper_case, without_punctuation, dropped_words, polite)
    for noise in draws.sample(kinds, draws.between(1, 2)):
        text = noise(text, draws)
    return text


def _misspelt(word: str, draws: Draws) -> str:
    """Swap, lose or double one letter inside the word."""
    at = draws.between(1, len(word) - 3)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return draws.choice((swapped, word[:at] + word[at + 1 :], word[: at + 1] + word[at:]))
