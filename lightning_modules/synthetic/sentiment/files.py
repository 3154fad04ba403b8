"""The generator's settings, as they stand in a YAML file, and the files it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lightning_modules.errors import UserError
from lightning_modules.synthetic.sentiment.generate import generate
from lightning_modules.synthetic.texts import SyntheticTexts, write_parts

# kind: that of the frame, see `generate.KINDS`
COLUMNS = ("text", "label", "domain", "kind")


@dataclass(frozen=True)
class SyntheticSentiment(SyntheticTexts):
    """Settings of the generated reviews: same settings, same bytes.

    Args:
        folder: where train.csv, val.csv and test.csv are written.
        examples: rows over all parts, half of them positive.
        seed: of every draw.
    """

    label_column: ClassVar[str] = "label"

    folder: str = "data/sentiment"
    examples: int = 4000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.examples < 20:
            raise UserError(f"the generator was given examples {self.examples}: give 20 or more")

    def write(self) -> dict[str, str]:
        """Writes the three files and returns their paths by part."""
        return write_parts(Path(self.folder), generate(self.examples, self.seed), COLUMNS)
