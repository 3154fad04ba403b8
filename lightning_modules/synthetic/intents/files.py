"""The generator's settings, as they stand in a YAML file, and the files it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lightning_modules.errors import UserError
from lightning_modules.synthetic.intents.generate import generate
from lightning_modules.synthetic.texts import SyntheticTexts, write_parts

# kind: regular, augmented, or the edge case's name
COLUMNS = ("text", "intent", "complexity", "kind")


@dataclass(frozen=True)
class SyntheticIntents(SyntheticTexts):
    """Settings of the generated intent data: same settings, same bytes.

    Args:
        folder: where train.csv, val.csv and test.csv are written.
        examples_per_intent: ordinary rows of each intent, over all parts.
        edge_cases: rows with typos, mixed intents, other scripts and the like, over all intents and parts.
        seed: of every draw.
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
        """Writes the three files and returns their paths by part."""
        parts = generate(self.examples_per_intent, self.edge_cases, self.seed, self.augment)
        return write_parts(Path(self.folder), parts, COLUMNS)
