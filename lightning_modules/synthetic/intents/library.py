"""The template library: reads `templates/intents/*.yaml` and divides it between training, validation and test.

A pool is a tuple of families; a family is a tuple of wordings of one idea (a filler phrase is a family of one).
Pools are named after their place in the files: `code_generation.families`, `shared.fillers.topic`.
"""

from pathlib import Path

import yaml

from lightning_modules.synthetic.draws import Draws
from lightning_modules.synthetic.splits import SPLITS, deal

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
TEMPLATES = Path(__file__).parent.parent / "templates" / "intents"
HELD_OUT = 0.15  # of every pool, for validation and again for test

Family = tuple[str, ...]
Library = dict[str, tuple[Family, ...]]


def load_library(folder: Path = TEMPLATES) -> Library:
    """Read every YAML file of a folder of templates.

    A block of text holds one entry a line. Under `families` and `with_code` a blank line starts the next family, and
    all lines up to it are wordings of one. `\\n` in a line is a line break.
    """
    library: Library = {}
    for path in sorted(folder.glob("*.yaml")):
        _collect(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")), library)
    return library


def split_library(library: Library, seed: int) -> dict[str, Library]:
    """Deal the families of every pool out to the splits, so that no two splits share one."""
    parts: dict[str, Library] = {split: {} for split in SPLITS}
    for name, pool in library.items():
        for split, families in deal(pool, HELD_OUT, Draws(seed, "split", name)).items():
            parts[split][name] = families
    return parts


def _collect(name: str, node: object, library: Library) -> None:
    if isinstance(node, dict):
        for key, child in node.items():
            _collect(f"{name}.{key}", child, library)
    elif isinstance(node, str):
        blocks = node.split("\n\n") if name.endswith((".families", ".with_code")) else node.splitlines()
        library[name] = tuple(_wordings(block) for block in blocks if block.strip())
    else:
        raise TypeError(f"{name}: expected a mapping or a block of text, got {type(node).__name__}")


def _wordings(block: str) -> Family:
    return tuple(line.strip().replace("\\n", "\n") for line in block.splitlines() if line.strip())
