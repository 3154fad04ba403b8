"""The generator: reviews from a library that is split by frame, clause and verdict; all splits share the words."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from lightning_modules.errors import UserError
from lightning_modules.synthetic.draws import Draws
from lightning_modules.synthetic.intents.library import Library, load_library, split_library
from lightning_modules.synthetic.intents.render import capitalised
from lightning_modules.synthetic.splits import share
from lightning_modules.synthetic.texts import is_new

TEMPLATES = Path(__file__).parent.parent / "templates" / "sentiment"
LABELS = ("negative", "positive")
# how many of 100 reviews are of each kind
KINDS = {"plain": 40, "negated": 22, "contrast": 24, "expectation": 14}
LOTTERY = tuple(kind for kind, number in KINDS.items() for _ in range(number))
ASIDE = 0.4  # share of the reviews with a sentence that says nothing of the matter
ATTEMPTS = 300  # at a row whose text is new, before the library counts as used up
WORDS = re.compile(r"shared\.(adjectives|predicates)\..*|.*\.(aspects|things|asides)")  # pools of all splits
SLOT = re.compile(r"\{([a-z]+)(\d?)\}|\{(\d+)-(\d+)\}|\[([^\[\]]*\|[^\[\]]*)\]")


@dataclass(frozen=True)
class Row:
    """One review; `trace` names every library entry its text was made of."""

    text: str
    label: str
    domain: str
    kind: str
    trace: tuple[str, ...]


def generate(examples: int, seed: int) -> dict[str, list[Row]]:
    """Rows by split (80/10/10), half of them positive, each text once, each split from its own share of the templates.

    Raises:
        UserError: the library cannot give that many different texts.
    """
    whole = load_library(TEMPLATES)
    words = {name: pool for name, pool in whole.items() if WORDS.fullmatch(name)}
    seen: set[str] = set()
    result = {}
    for split, library in split_library(whole, seed).items():
        draws = Draws(seed, "sentiment", split)
        rows = range(share(examples, split))
        result[split] = [_new_row({**library, **words}, draws, number, seen) for number in rows]
    return result


@dataclass
class Review:
    """Draws the parts of one review, and keeps a trace of every entry used."""

    library: Library
    draws: Draws
    domain: str
    label: str
    trace: list[str] = field(default_factory=list)

    def text(self, kind: str) -> str:
        (frame,) = self.take(f"shared.frames.{kind}", 1)
        review = self.fill(frame)
        if not self.draws.chance(ASIDE):
            return review
        (aside,) = self.take(f"{self.domain}.asides", 1)
        return f"{aside} {review}" if self.draws.chance(0.6) else f"{review} {aside}"

    def take(self, pool: str, count: int) -> list[str]:
        """Some different entries of a pool, one wording of each."""
        chosen = self.draws.sample(self.library[pool], count)
        self.trace += [f"{pool}: {family[0]}" for family in chosen]
        return [self.draws.choice(family) for family in chosen]

    def fill(self, frame: str) -> str:
        """Fills the slots (see `templates/sentiment/shared.yaml`), with a capital where a sentence opens."""
        slots = sorted({(match[1], match[2]) for match in SLOT.finditer(frame) if match[1]})
        found: dict[tuple[str, str], str] = {}
        for name in sorted({name for name, _ in slots}):
            same_pool = [slot for slot in slots if slot[0] == name]
            found.update(zip(same_pool, self.take(self._pool(name), len(same_pool)), strict=True))

        def replace(match: re.Match[str]) -> str:
            name, suffix, low, high, sides = match.groups()
            if low is not None:
                return str(self.draws.between(int(low), int(high)))
            return self.draws.choice(sides.split("|")) if sides is not None else found[name, suffix]

        sentences = re.split(r"(?<=[.!?]) ", SLOT.sub(replace, frame))
        return " ".join(map(capitalised, sentences))

    def _pool(self, slot: str) -> str:
        other = next(label for label in LABELS if label != self.label)
        return {
            "same": f"shared.adjectives.{self.label}",
            "other": f"shared.adjectives.{other}",
            "praise": f"shared.predicates.{self.label}",
            "verdict": f"shared.verdicts.{self.label}",
            "clause": f"{self.domain}.{self.label}",
            "counter": f"{self.domain}.{other}",
            "aspect": f"{self.domain}.aspects",
            "thing": f"{self.domain}.things",
        }[slot]


def _new_row(library: Library, draws: Draws, number: int, seen: set[str]) -> Row:
    domains = sorted({name.partition(".")[0] for name in library} - {"shared"})
    label = LABELS[number % len(LABELS)]
    for _ in range(ATTEMPTS):
        review = Review(library, draws, draws.choice(domains), label)
        kind = draws.choice(LOTTERY)
        text = review.text(kind)
        if is_new(text, seen):
            return Row(text, label, review.domain, kind, tuple(review.trace))
    raise UserError(
        f"the templates give no new review after {number} in one split: ask for fewer (--examples), or add templates"
    )
