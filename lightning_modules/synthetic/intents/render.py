"""Turns library entries into sentences, and keeps a trace of every entry used."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from lightning_modules.synthetic.draws import Draws
from lightning_modules.synthetic.intents.library import Library

SLOT = re.compile(r"\{([a-z_]+)(\d?)\}|\{(\d+)-(\d+)\}|\[([^\[\]]*\|[^\[\]]*)\]")


@dataclass
class Renderer:
    """Renders from one split's library: every entry it takes is added to `trace`, as `pool: first wording`."""

    library: Library
    draws: Draws
    trace: list[str] = field(default_factory=list)

    def take(self, pool: str, count: int = 1) -> list[str]:
        """Some different entries of a pool, one wording of each."""
        chosen = self.draws.sample(self.library[pool], count)
        self.trace += [f"{pool}: {family[0]}" for family in chosen]
        return [self.draws.choice(family) for family in chosen]

    def core(self, pool: str, most_demands: int) -> tuple[str, int]:
        """A wording with at most so many demands of its own (`+2 ` in front of it), filled, and their number."""
        suiting: list[tuple[str, int]] = []
        while not suiting:
            family = self.draws.choice(self.library[pool])
            suiting = [demand for demand in map(split_demands, family) if demand[1] <= most_demands]
        self.trace.append(f"{pool}: {family[0]}")
        template, demands = self.draws.choice(suiting)
        return capitalised(self.fill(template)), demands

    def fill(self, template: str) -> str:
        """Fill `{slot}` from `shared.fillers.slot`, `{1-9}` with a number, `[a|b]` with one side.

        The same slot gets the same filler throughout, `{slot2}` another one; a filler that opens a sentence gets a
        capital.
        """
        matches = [match for match in SLOT.finditer(template) if match[1]]
        slots = list(dict.fromkeys((match[1], match[2]) for match in matches))
        fillers: dict[tuple[str, str], str] = {}
        for name in dict.fromkeys(name for name, _ in slots):
            same_list = [slot for slot in slots if slot[0] == name]
            fillers.update(zip(same_list, self.take(f"shared.fillers.{name}", len(same_list)), strict=True))

        def replace(match: re.Match[str]) -> str:
            name, suffix, low, high, sides = match.groups()
            if low is not None:
                return str(self.draws.between(int(low), int(high)))
            if sides is not None:
                return self.draws.choice(sides.split("|"))
            before = template[: match.start()].rstrip()
            filler = fillers[name, suffix]
            return capitalised(filler) if not before or before[-1] in ".!?" else filler

        return SLOT.sub(replace, template)


def split_demands(wording: str) -> tuple[str, int]:
    """`+2 Write …` -> (`Write …`, 2)."""
    return (wording[3:], int(wording[1])) if wording.startswith("+") else (wording, 0)


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def as_sentence(detail: str) -> str:
    return capitalised(detail) if detail[-1] in ".?!" else capitalised(detail) + "."


def join_details(core: str, details: Sequence[str], draws: Draws) -> str:
    """Add further demands to a request: as sentences, as one sentence, or as a list.

    A detail with its own closing punctuation is a full sentence; one without is an imperative phrase.
    """
    if not details:
        return core
    imperative = not any(detail[-1] in ".?!" for detail in details)
    if not imperative or draws.chance(0.4):
        opening = draws.choice(("", "", "Also, ", "And ")) if imperative else ""
        return " ".join([core, as_sentence(opening + details[0]), *map(as_sentence, details[1:])])
    if draws.chance(0.5):
        *start, last = details
        return f"{core} Please {', '.join(start) + ' and ' if start else ''}{last}."
    bullets = draws.choice(("- {text}", "* {text}", "{number}. {text}", "{number}) {text}"))
    return "\n".join(
        [core, *(bullets.format(number=number, text=text) for number, text in enumerate(details, start=1))]
    )
