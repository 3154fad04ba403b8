"""Generate reviews, positive or negative: plain, negated, mixed, and against an expectation.

The wording lives in `templates/sentiment/*.yaml` (one file a domain, and `shared.yaml`). Frames, clauses and verdicts
are split by template; all splits share the adjectives, predicates, aspects, things and asides.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lightning_modules.errors import UserError
from lightning_modules.synthetic.draws import Draws, share
from lightning_modules.synthetic.library import Library, Renderer, capitalised, load_library, split_library
from lightning_modules.synthetic.texts import SyntheticTexts, is_new, write_splits

TEMPLATES = Path(__file__).parent / "templates" / "sentiment"
LABELS = ("negative", "positive")
COLUMNS = ("text", "label", "domain", "kind")  # kind: a key of KINDS
KINDS = {"plain": 40, "negated": 22, "contrast": 24, "expectation": 14}  # number among 100 reviews
LOTTERY = tuple(kind for kind, number in KINDS.items() for _ in range(number))
ASIDE = 0.4  # share of the reviews with a sentence that gives no opinion
MAX_ATTEMPTS = 300  # draws for a row whose text is new, before the library counts as used up
SHARED_POOLS = re.compile(r"shared\.(adjectives|predicates)\..*|.*\.(aspects|things|asides)")


@dataclass(frozen=True)
class SyntheticSentiment(SyntheticTexts):
    """Reviews as train.csv, val.csv and test.csv: the same settings give the same bytes.

    Args:
        folder: folder for the three files.
        examples: number of rows over all splits, half of them positive.
        seed: seed of every draw.
    """

    label_column: ClassVar[str] = "label"

    folder: str = "data/sentiment"
    examples: int = 4000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.examples < 20:
            raise UserError(f"the generator was given examples {self.examples}: give 20 or more")

    def write(self) -> dict[str, str]:
        """Write the three files and return their paths by split."""
        return write_splits(Path(self.folder), generate(self.examples, self.seed), COLUMNS)


@dataclass(frozen=True)
class Row:
    """One review; `trace` names every library entry its text was made of."""

    text: str
    label: str
    domain: str
    kind: str
    trace: tuple[str, ...]


def generate(examples: int, seed: int) -> dict[str, list[Row]]:
    """Return the rows of each split (80/10/10), half of them positive, each text once.

    Raises:
        UserError: the library cannot give that many different texts.
    """
    whole = load_library(TEMPLATES)
    shared = {name: pool for name, pool in whole.items() if SHARED_POOLS.fullmatch(name)}
    seen: set[str] = set()
    splits = {}
    for split, library in split_library(whole, seed).items():
        draws = Draws(seed, "sentiment", split)
        rows = range(share(examples, split))
        splits[split] = [_new_row({**library, **shared}, draws, number, seen) for number in rows]
    return splits


@dataclass
class Review(Renderer):
    """Draw the parts of one review of a domain."""

    domain: str = ""
    label: str = ""

    def text(self, kind: str) -> str:
        (frame,) = self.take(f"shared.frames.{kind}")
        review = self.fill(frame)
        if not self.draws.chance(ASIDE):
            return review
        (aside,) = self.take(f"{self.domain}.asides")
        return f"{aside} {review}" if self.draws.chance(0.6) else f"{review} {aside}"

    def fill(self, template: str) -> str:
        return " ".join(map(capitalised, re.split(r"(?<=[.!?]) ", super().fill(template))))

    def draw_fillers(self, slots: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
        return super().draw_fillers(sorted(slots))

    def pool_of(self, slot: str) -> str:
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
    for _ in range(MAX_ATTEMPTS):
        review = Review(library, draws, domain=draws.choice(domains), label=label)
        kind = draws.choice(LOTTERY)
        text = review.text(kind)
        if is_new(text, seen):
            return Row(text, label, review.domain, kind, tuple(review.trace))
    raise UserError(
        f"the templates give no new review after {number} in one split: ask for fewer (--examples), or add templates"
    )
