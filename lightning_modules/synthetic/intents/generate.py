"""The generator: rows of text, intent and complexity from a split template library."""

from dataclasses import dataclass, replace

from lightning_modules.errors import UserError
from lightning_modules.synthetic.draws import Draws
from lightning_modules.synthetic.intents.augment import augmented
from lightning_modules.synthetic.intents.compose import COMPLEXITIES, regular
from lightning_modules.synthetic.intents.edges import KINDS, LOTTERY
from lightning_modules.synthetic.intents.library import INTENTS, Library, load_library, split_library
from lightning_modules.synthetic.intents.render import Renderer
from lightning_modules.synthetic.splits import share
from lightning_modules.synthetic.texts import is_new

LEVELS = tuple(COMPLEXITIES)
ATTEMPTS = 300  # at a row whose text is new, before the library counts as used up


@dataclass(frozen=True)
class Row:
    """One example; `trace` names every library entry its text was made of."""

    text: str
    intent: str
    complexity: str
    kind: str
    trace: tuple[str, ...]


def generate(examples_per_intent: int, edge_cases: int, seed: int, augment: float = 0.0) -> dict[str, list[Row]]:
    """Rows by split (80/10/10), each text once, each split from its own share of the library.

    `augment` adds noisy copies of that share of the training rows. Raises UserError when the library cannot give
    that many different texts.
    """
    seen: set[str] = set()
    result: dict[str, list[Row]] = {}
    for split, library in split_library(load_library(), seed).items():
        rows: list[Row] = []
        for position, intent in enumerate(INTENTS):
            draws = Draws(seed, split, intent)
            # the remainder of the edge cases goes to the first intents
            edges = edge_cases // len(INTENTS) + (position < edge_cases % len(INTENTS))
            for kind, total in (("regular", examples_per_intent), ("edge", edges)):
                rows += [_new_row(library, draws, intent, kind, number, seen) for number in range(share(total, split))]
        result[split] = Draws(seed, split, "order").shuffled(rows)
    result["train"] += _noisy_copies(result["train"], augment, Draws(seed, "augment"), seen)
    return result


def _new_row(library: Library, draws: Draws, intent: str, kind: str, number: int, seen: set[str]) -> Row:
    for _ in range(ATTEMPTS):
        row = _row(Renderer(library, draws), intent, LEVELS[number % len(LEVELS)], kind)
        if is_new(row.text, seen):
            return row
    raise UserError(
        f"{intent}: the templates give no new {kind} text after {number} in one split: ask for fewer examples "
        "(--examples-per-intent, --edge-cases) or add templates"
    )


def _row(renderer: Renderer, intent: str, complexity: str, kind: str) -> Row:
    if kind == "regular":
        text = regular(renderer, intent, complexity)
    else:
        kind = renderer.draws.choice(LOTTERY)
        text, complexity = KINDS[kind][1](renderer, intent, complexity)
    return Row(text, intent, complexity, kind, tuple(renderer.trace))


def _noisy_copies(rows: list[Row], rate: float, draws: Draws, seen: set[str]) -> list[Row]:
    copies = []
    for row in draws.sample(rows, round(rate * len(rows))):
        noisy = (augmented(row.text, draws) for _ in range(ATTEMPTS))
        text = next((text for text in noisy if is_new(text, seen)), None)
        if text is not None:
            copies.append(replace(row, text=text, kind="augmented"))
    return copies
