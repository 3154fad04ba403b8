"""Generate rows of text, intent and complexity, and write them as CSV."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from lightning_modules.errors import UserError
from lightning_modules.synthetic.draws import Draws, share
from lightning_modules.synthetic.intents.edge_cases import KINDS, LOTTERY
from lightning_modules.synthetic.intents.noise import add_noise
from lightning_modules.synthetic.intents.requests import COMPLEXITIES, IntentRenderer, ordinary_request
from lightning_modules.synthetic.library import Library, load_library, split_library
from lightning_modules.synthetic.texts import SyntheticTexts, is_new, write_splits

TEMPLATES = Path(__file__).parent.parent / "templates" / "intents"
INTENTS = (
    "question_answering",
    "creative_writing",
    "code_generation",
    "data_analysis",
    "reasoning",
    "summarization",
    "translation",
    "conversation",
    "task_planning",
    "problem_solving",
)
LEVELS = tuple(COMPLEXITIES)
COLUMNS = ("text", "intent", "complexity", "kind")  # kind: regular, augmented, or the edge case's name
MAX_ATTEMPTS = 300  # draws for a row whose text is new, before the library counts as used up


@dataclass(frozen=True)
class SyntheticIntents(SyntheticTexts):
    """Requests as train.csv, val.csv and test.csv: the same settings give the same bytes.

    Args:
        folder: folder for the three files.
        examples_per_intent: number of ordinary rows of each intent, over all splits.
        edge_cases: number of rows with typos, mixed intents, other scripts and the like, over all intents and splits.
        seed: seed of every draw.
        augment: share of the training rows, 0 to 1, that are added again with noise.
    """

    label_column: ClassVar[str] = "intent"
    complexity_column: ClassVar[str | None] = "complexity"

    folder: str = "data/intent"
    examples_per_intent: int = 500
    edge_cases: int = 1000
    seed: int = 0
    augment: float = 0.0

    def __post_init__(self) -> None:
        if min(self.examples_per_intent, self.edge_cases) < 0 or not 0 <= self.augment <= 1:
            raise UserError(
                f"the generator was given examples_per_intent {self.examples_per_intent}, "
                f"edge_cases {self.edge_cases} and augment {self.augment}: "
                "give 0 or more, 0 or more, and a share from 0 to 1"
            )

    def write(self) -> dict[str, str]:
        """Write the three files and return their paths by split."""
        splits = generate(self.examples_per_intent, self.edge_cases, self.seed, self.augment)
        return write_splits(Path(self.folder), splits, COLUMNS)


@dataclass(frozen=True)
class Row:
    """One example; `trace` names every library entry its text was made of."""

    text: str
    intent: str
    complexity: str
    kind: str
    trace: tuple[str, ...]


def generate(examples_per_intent: int, edge_cases: int, seed: int, augment: float = 0.0) -> dict[str, list[Row]]:
    """Return the rows of each split (80/10/10), each text once, each split from its own share of the library.

    `augment` adds noisy copies of that share of the training rows.

    Raises:
        UserError: the library cannot give that many different texts.
    """
    seen: set[str] = set()
    splits: dict[str, list[Row]] = {}
    for split, library in split_library(load_library(TEMPLATES), seed).items():
        rows: list[Row] = []
        for position, intent in enumerate(INTENTS):
            draws = Draws(seed, split, intent)
            # The remainder of the edge cases goes to the first intents.
            edges = edge_cases // len(INTENTS) + (position < edge_cases % len(INTENTS))
            for kind, total in (("regular", examples_per_intent), ("edge", edges)):
                rows += [_new_row(library, draws, intent, kind, number, seen) for number in range(share(total, split))]
        splits[split] = Draws(seed, split, "order").shuffled(rows)
    splits["train"] += _noisy_copies(splits["train"], augment, Draws(seed, "augment"), seen)
    return splits


def _new_row(library: Library, draws: Draws, intent: str, kind: str, number: int, seen: set[str]) -> Row:
    for _ in range(MAX_ATTEMPTS):
        row = _row(IntentRenderer(library, draws), intent, LEVELS[number % len(LEVELS)], kind)
        if is_new(row.text, seen):
            return row
    raise UserError(
        f"{intent}: the templates give no new {kind} text after {number} in one split: ask for fewer examples "
        "(--examples-per-intent, --edge-cases) or add templates"
    )


def _row(renderer: IntentRenderer, intent: str, complexity: str, kind: str) -> Row:
    if kind == "regular":
        text = ordinary_request(renderer, intent, complexity)
    else:
        kind = renderer.draws.choice(LOTTERY)
        text, complexity = KINDS[kind][1](renderer, intent, complexity)
    return Row(text, intent, complexity, kind, tuple(renderer.trace))


def _noisy_copies(rows: list[Row], rate: float, draws: Draws, seen: set[str]) -> list[Row]:
    copies = []
    for row in draws.sample(rows, round(rate * len(rows))):
        candidates = (add_noise(row.text, draws) for _ in range(MAX_ATTEMPTS))
        text = next((text for text in candidates if is_new(text, seen)), None)
        if text is not None:
            copies.append(replace(row, text=text, kind="augmented"))
    return copies
