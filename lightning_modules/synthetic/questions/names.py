"""Draw names and numbers from pools that the three splits do not share.

A pattern such as `the {town} Works` or `{number 120-900} miles` is filled with other patterns, names and numbers:

- `{kind}`: a kind or a list of names.yaml;
- `{number 20-90}`, with commas from 1,000 on; `{number 200-9000 step 100}`; `{decimal 1-9}`, with one decimal place;
  `{ordinal 3-40}`; `{year 1850-1930}`; `{date 1850-1930}`; `{time 6-22}`, from one hour to another;
- `{year founded+3-12}`, `{date founded+3-12}`: so many years after the value `founded`;
- `[one|another]`: one of them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lightning_modules.errors import UserError
from lightning_modules.synthetic.draws import Draws, deal

SLOT = re.compile(r"\{([^{}]*)\}")
SIDES = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
NUMBER = re.compile(
    r"(?P<kind>number|decimal|ordinal|year|date|time) (?:(?P<after>[a-z_]+)\+)?(?P<low>\d+)-(?P<high>\d+)"
    r"(?: step (?P<step>\d+))?"
)
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

HELD_OUT = 0.2  # share of every dealt list for validation, and again for test
# The split that a number belongs to, by its remainder by 9, so that none occurs in two.
SPLIT_BY_REMAINDER = ("train", "train", "val", "train", "train", "test", "train", "val", "test")


@dataclass(frozen=True)
class Names:
    """The lists of names.yaml: `dealt` to the splits, `shared` by them, and `kinds`, whose entries are patterns."""

    dealt: Mapping[str, tuple[str, ...]]
    shared: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, tuple[str, ...]]

    def __contains__(self, kind: object) -> bool:
        return kind in self.dealt or kind in self.shared or kind in self.kinds

    def of_split(self, split: str, seed: int) -> "Names":
        """Return the names with only that split's share of every dealt list."""
        dealt = {name: deal(items, HELD_OUT, Draws(seed, "names", name))[split] for name, items in self.dealt.items()}
        return Names(dealt, self.shared, self.kinds)


@dataclass
class Filler:
    """Fill patterns for one context, without repeating a name or number while there are others."""

    names: Names
    split: str
    draws: Draws
    taken: set[str] = field(default_factory=set)

    def fill(self, pattern: str, values: Mapping[str, str]) -> str:
        chosen = choose_sides(pattern, self.draws)
        return SLOT.sub(lambda match: self._drawn(match[1], values), chosen)

    def _drawn(self, slot: str, values: Mapping[str, str]) -> str:
        if slot in values:
            return values[slot]
        if number := NUMBER.fullmatch(slot):
            return self._number(number, values)
        if slot in self.names.kinds:
            return self.fill(self.draws.choice(self.names.kinds[slot]), values)
        items = self.names.dealt.get(slot) or self.names.shared[slot]
        item = self.draws.choice([item for item in items if item not in self.taken] or items)
        self.taken.add(item)
        return item

    def _number(self, slot: re.Match[str], values: Mapping[str, str]) -> str:
        low, high, step = int(slot["low"]), int(slot["high"]), int(slot["step"] or 1)
        if slot["after"]:
            base = year_of(values[slot["after"]])
            low, high = base + low, base + high
        if slot["kind"] == "date":
            day, month = self._free(1, 28, 1, str), self.draws.choice(MONTHS)
            return f"{day} {month} {self._free(low, high, 1, str)}"
        if slot["kind"] == "decimal":
            return self._free(low * 10 + 1, high * 10, 1, lambda tenths: f"{tenths // 10}.{tenths % 10}")
        if slot["kind"] == "time":
            return self._free(low * 60, high * 60 - 1, 5, lambda minutes: f"{minutes // 60}:{minutes % 60:02}")
        return self._free(low, high, step, AS_TEXT[slot["kind"]])

    def _free(self, low: int, high: int, step: int, as_text: Callable[[int], str]) -> str:
        """Return a number of this split from low to high as text, preferably one that was not drawn before."""
        numbers = [n for n in range(-(-low // step) * step, high + 1, step) if split_of(n) == self.split]
        if not numbers:
            raise UserError(f"no number from {low} to {high} is {self.split}'s: give the template a wider range")
        texts = [as_text(n) for n in numbers]
        text = self.draws.choice([text for text in texts if text not in self.taken] or texts)
        self.taken.add(text)
        return text


def split_of(number: int) -> str:
    return SPLIT_BY_REMAINDER[number % len(SPLIT_BY_REMAINDER)]


def choose_sides(text: str, draws: Draws) -> str:
    return SIDES.sub(lambda match: draws.choice(match[1].split("|")), text)


def slots_of(text: str) -> list[str]:
    """Return the names of all slots; for a number that counts from a value, the name of that value."""
    names = []
    for slot in SLOT.findall(text):
        number = NUMBER.fullmatch(slot)
        if number is None:
            names.append(slot)
        elif number["after"]:
            names.append(number["after"])
    return names


def is_wide(slot: str) -> bool:
    """Tell whether a number's range is sure to hold numbers of every split; other slots always are wide."""
    number = NUMBER.fullmatch(slot)
    if number is None:
        return True
    per_unit = {"decimal": 10, "time": 12}.get(number["kind"], 1)
    return (int(number["high"]) - int(number["low"])) * per_unit >= len(SPLIT_BY_REMAINDER) * int(number["step"] or 1)


def year_of(value: str) -> int:
    """Return the year that a value such as `14 May 1893` ends in."""
    return int(value[-4:])


def ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


AS_TEXT: Mapping[str, Callable[[int], str]] = {"number": "{:,}".format, "ordinal": ordinal, "year": str}
