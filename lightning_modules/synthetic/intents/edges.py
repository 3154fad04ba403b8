"""Edge cases: what real users send and tidy templates do not.

Each kind is a function from (renderer, intent, complexity) to the text and its complexity.
"""

from collections.abc import Callable

from lightning_modules.synthetic.intents import augment
from lightning_modules.synthetic.intents.compose import regular, request, with_background
from lightning_modules.synthetic.intents.render import Renderer

Case = tuple[str, str]


def misspelt(renderer: Renderer, intent: str, complexity: str) -> Case:
    return augment.typos(regular(renderer, intent, complexity), renderer.draws), complexity


def mixed(renderer: Renderer, intent: str, complexity: str) -> Case:
    """Mentions another intent, and asks for this one: the label is what is asked."""
    others = [name.split(".")[-1] for name in renderer.library if name.startswith("shared.asides.")]
    other = renderer.draws.choice([name for name in others if name != intent])
    (frame,) = renderer.take("shared.frames")
    (aside,) = map(renderer.fill, renderer.take(f"shared.asides.{other}"))
    text = frame.replace("{aside}", aside).replace("{request}", request(renderer, intent, complexity))
    return text[0].upper() + text[1:], complexity


def very_short(renderer: Renderer, intent: str, complexity: str) -> Case:
    (text,) = map(renderer.fill, renderer.take(f"{intent}.short"))
    return (text.lower() if renderer.draws.chance(0.5) else text), "low"


def very_long(renderer: Renderer, intent: str, complexity: str) -> Case:
    sentences = renderer.draws.between(4, 6)
    return with_background(renderer, request(renderer, intent, complexity), sentences), complexity


def with_code(renderer: Renderer, intent: str, complexity: str) -> Case:
    return request(renderer, intent, complexity, pool="with_code"), complexity


def other_language(renderer: Renderer, intent: str, complexity: str) -> Case:
    text, demands = renderer.core(f"{intent}.other_languages", most_demands=9)
    return text, "low" if demands == 0 else "medium" if demands < 3 else "high"


def emoji(renderer: Renderer, intent: str, complexity: str) -> Case:
    signs = "".join(renderer.take("shared.emoji", renderer.draws.between(1, 3)))
    text = regular(renderer, intent, complexity)
    return (f"{text} {signs}" if renderer.draws.chance(0.7) else f"{signs} {text}"), complexity


def unpunctuated(renderer: Renderer, intent: str, complexity: str) -> Case:
    text = regular(renderer, intent, complexity)
    return augment.lower_case(augment.without_punctuation(text, renderer.draws), renderer.draws), complexity


# how many of 100 edge cases are of each kind
KINDS: dict[str, tuple[int, Callable[[Renderer, str, str], Case]]] = {
    "typos": (16, misspelt),
    "mixed": (24, mixed),
    "very_short": (10, very_short),
    "very_long": (12, very_long),
    "code": (12, with_code),
    "other_language": (7, other_language),
    "emoji": (8, emoji),
    "unpunctuated": (11, unpunctuated),
}
LOTTERY = tuple(kind for kind, (share, _) in KINDS.items() for _ in range(share))
