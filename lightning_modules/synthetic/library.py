"""Read the wordings of `templates/intents` and `templates/sentiment`, deal them to the splits, and fill their slots.

A pool is a tuple of families; a family is a tuple of wordings of one idea (a filler phrase is a family of one).
Pools are named after their place in the files: `code_generation.families`, `shared.fillers.topic`.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lightning_modules.synthetic.draws import SPLITS, Draws, deal

HELD_OUT = 0.15  # share of every pool for validation, and again for test
SLOT = re.compile(r"\{([a-z_]+)(\d?)\}|\{(\d+)-(\d+)\}|\[([^\[\]]*\|[^\[\]]*)\]")

Family = tuple[str, ...]
Library = dict[str, tuple[Family, ...]]
Slot = tuple[str, str]


def load_library(folder: Path) -> Library:
    """Read every YAML file of a folder of templates.

    A block of text holds one entry a line. Under `families` and `with_code` a blank line starts the next family, and
    all lines up to it are wordings of one idea. `\\n` in a line is a line break.
    """
    library: Library = {}
    for path in sorted(folder.glob("*.yaml")):
        _collect(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")), library)
    return library


def split_library(library: Library, seed: int) -> dict[str, Library]:
    """Deal the families of every pool to the splits, so that no two splits share one."""
    dealt: dict[str, Library] = {split: {} for split in SPLITS}
    for name, pool in library.items():
        for split, families in deal(pool, HELD_OUT, Draws(seed, "split", name)).items():
            dealt[split][name] = families
    return dealt


@dataclass
class Renderer:
    """Fill wordings from one split's library; `trace` names every entry taken, as `pool: first wording`."""

    library: Library
    draws: Draws
    trace: list[str] = field(default_factory=list)

    def take(self, pool: str, count: int = 1) -> list[str]:
        """Draw different entries of a pool, and return one wording of each."""
        entries = self.draws.sample(self.library[pool], count)
        self.trace += [f"{pool}: {family[0]}" for family in entries]
        return [self.draws.choice(family) for family in entries]

    def draw_fillers(self, slots: list[Slot]) -> dict[Slot, str]:
        """Return different fillers for slots of one name, name by name in the order of the slots."""
        fillers: dict[Slot, str] = {}
        for name in dict.fromkeys(name for name, _ in slots):
            same_pool = [slot for slot in slots if slot[0] == name]
            fillers.update(zip(same_pool, self.take(self.pool_of(name), len(same_pool)), strict=True))
        return fillers

    def pool_of(self, slot: str) -> str:
        """Return the pool that fills a slot."""
        return f"shared.fillers.{slot}"

    def fill(self, template: str) -> str:
        """Fill `{slot}` from its pool, `{1-9}` with a number, `[a|b]` with one side.

        The same slot gets the same filler throughout, `{slot2}` another one; a filler that opens a sentence gets a
        capital.
        """
        fillers = self.draw_fillers(slots_of(template))

        def replacement(match: re.Match[str]) -> str:
            before = template[: match.start()].rstrip()
            text = self._replacement(match, fillers)
            return capitalised(text) if match[1] and (not before or before[-1] in ".!?") else text

        return SLOT.sub(replacement, template)

    def _replacement(self, match: re.Match[str], fillers: dict[Slot, str]) -> str:
        name, suffix, low, high, sides = match.groups()
        if low is not None:
            return str(self.draws.between(int(low), int(high)))
        return self.draws.choice(sides.split("|")) if sides is not None else fillers[name, suffix]


def slots_of(template: str) -> list[Slot]:
    """Return the names and numbers of the slots, each once, in the order of the text."""
    return list(dict.fromkeys((match[1], match[2]) for match in SLOT.finditer(template) if match[1]))


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


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
