"""Compose one request: a core, the demands that make it complex, and background that does not.

Complexity counts what a request demands beyond its core: low nothing, medium one or two further steps or
constraints, high three or more.
"""

from collections.abc import Sequence

from lightning_modules.synthetic.draws import Draws
from lightning_modules.synthetic.library import Renderer, capitalised

COMPLEXITIES = {"low": (0, 0), "medium": (1, 2), "high": (3, 5)}  # lowest and highest number of further demands
BACKGROUND = {"low": 0.5, "medium": 0.3, "high": 0.15}  # so that length alone does not give complexity away


class IntentRenderer(Renderer):
    """A renderer that also draws cores, which may have demands of their own."""

    def core(self, pool: str, max_demands: int) -> tuple[str, int]:
        """Return a filled wording with at most `max_demands` of its own (`+2 ` in front of it), and their number."""
        suitable: list[tuple[str, int]] = []
        while not suitable:
            family = self.draws.choice(self.library[pool])
            suitable = [wording for wording in map(split_demands, family) if wording[1] <= max_demands]
        self.trace.append(f"{pool}: {family[0]}")
        template, demands = self.draws.choice(suitable)
        return capitalised(self.fill(template)), demands


def request(renderer: IntentRenderer, intent: str, complexity: str, pool: str = "families") -> str:
    """Return a request without background; its core comes from the intent's `pool`."""
    draws = renderer.draws
    low, high = COMPLEXITIES[complexity]
    core, demands = renderer.core(f"{intent}.{pool}", high)
    missing = max(0, draws.between(low, high) - demands)
    details = [renderer.fill(detail) for detail in renderer.take(f"{intent}.details", missing)] if missing else []
    return join_details(core, details, draws)


def ordinary_request(renderer: IntentRenderer, intent: str, complexity: str) -> str:
    """Return a request, some of them with one or two sentences of background."""
    text = request(renderer, intent, complexity)
    # In a conversation, one more sentence would raise a second matter.
    if intent != "conversation" and renderer.draws.chance(BACKGROUND[complexity]):
        return with_background(renderer, text, renderer.draws.between(1, 2))
    return text


def with_background(renderer: Renderer, text: str, sentences: int) -> str:
    """Put background in front of a request, or behind one that does not end in a list or a quotation."""
    background = " ".join(renderer.take("shared.backgrounds", sentences))
    behind = "\n" not in text and text[-1] in ".?!" and renderer.draws.chance(0.4)
    return f"{text} {background}" if behind else f"{background} {text}"


def split_demands(wording: str) -> tuple[str, int]:
    """`+2 Write …` -> (`Write …`, 2)."""
    return (wording[3:], int(wording[1])) if wording.startswith("+") else (wording, 0)


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


def as_sentence(detail: str) -> str:
    return capitalised(detail) if detail[-1] in ".?!" else capitalised(detail) + "."
