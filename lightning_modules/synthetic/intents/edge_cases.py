"""Draw edge cases: requests as real users send them and tidy templates do not.

Each kind is a function from (renderer, intent, complexity) to the text and its complexity.
"""

from collections.abc import Callable

from lightning_modules.synthetic.intents import noise
from lightning_modules.synthetic.intents.requests import IntentRenderer, ordinary_request, request, with_background

Case = tuple[str, str]


def misspelt(renderer: IntentRenderer, intent: str, complexity: str) -> Case:
    return noise.typos(ordinary_request(renderer, intent, complexity), renderer.draws), complexity


def mixed(renderer: IntentRenderer, intent: str, complexity: str) -> Case:
    """Mention another intent, but ask for this one: the label is what is asked."""
    others = [name.split(".")[-1] for name in renderer.library if name.startswith("shared.asides.")]
    other = renderer.draws.choice([name for name in others if name != intent])
    (frame,) = renderer.take("shared.frames")
    (aside,) = map(renderer.fill, renderer.take(f"shared.asides.{other}"))
    text = frame.replace("{aside}", aside).replace("{request}", request(renderer, intent, complexity))
    return text[0].upper() + text[1:], complexity


def very_short(renderer: IntentRenderer, intent: str, complexity: str) -> Case:
    (text,) = map(renderer.fill, renderer.take(f"{intent}.short"))
    return (text.lower() if renderer.draws.chance(0.5) else text), "low"


def very_long(renderer: IntentRenderer, intent: str, complexity: str) -> Case:
    sentences = renderer.draws.between(4, 6)
    return with_background(renderer, request(renderer, intent, complexity), sentences), complexity


def with_code(renderer: IntentRenderer, intent: str, complexity: str) -> Case:
    return request(renderer, intent, complexity, pool="with_code"), complexity


def other_language(renderer: IntentRenderer, intent: str, complexity: str) -> Case:
    text, demands = renderer.core(f"{intent}.other_languages", max_demands=9)
    return text, "low" if demands == 0 else "medium" if demands < 3 else "high"


def emoji(renderer: IntentRenderer, intent: str, complexity: str) -> Case:
    signs = "".join(renderer.take("shared.emoji", renderer.draws.between(1, 3)))
    text = ordinary_request(renderer, intent, complexity)
    return (f"{text} {signs}" if renderer.draws.chance(0.7) else f"{signs} {text}"), complexity


def unpunctuated(renderer: IntentRenderer, intent: str, complexity: str) -> Case:
    text = ordinary_request(renderer, intent, complexity)
    return noise.lower_case(noise.without_punctuation(text, renderer.draws), renderer.draws), complexity


# Number among 100 edge cases, and the function that draws one, by kind.
KINDS: dict[str, tuple[int, Callable[[IntentRenderer, str, str], Case]]] = {
    "typos": (16, misspelt),
    "mixed": (24, mixed),
    "very_short": (10, very_short),
    "very_long": (12, very_long),
    "code": (12, with_code),
    "other_language": (7, other_language),
    "emoji": (8, emoji),
    "unpunctuated": (11, unpunctuated),
}
LOTTERY = tuple(kind for kind, (number, _) in KINDS.items() for _ in range(number))
