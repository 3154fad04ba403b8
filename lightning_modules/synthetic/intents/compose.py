"""Composes one request: a core, the demands that make it complex, and background that does not.

Complexity counts what a request demands beyond its core: low nothing, medium one or two further steps or
constraints, high three or more.
"""

from lightning_modules.synthetic.intents.render import Renderer, join_details

COMPLEXITIES = {"low": (0, 0), "medium": (1, 2), "high": (3, 5)}  # demands beyond the core, from and to
BACKGROUND = {"low": 0.5, "medium": 0.3, "high": 0.15}  # so that length alone does not give complexity away


def request(renderer: Renderer, intent: str, complexity: str, pool: str = "families") -> str:
    """A request without background; its core comes from the intent's `pool`."""
    draws = renderer.draws
    fewest, most = COMPLEXITIES[complexity]
    core, own = renderer.core(f"{intent}.{pool}", most)
    missing = max(0, draws.between(fewest, most) - own)
    details = [renderer.fill(detail) for detail in renderer.take(f"{intent}.details", missing)] if missing else []
    return join_details(core, details, draws)


def with_background(renderer: Renderer, text: str, sentences: int) -> str:
    """Background in front of a request, or behind one that does not end in a list or a quotation."""
    background = " ".join(renderer.take("shared.backgrounds", sentences))
    behind = "\n" not in text and text[-1] in ".?!" and renderer.draws.chance(0.4)
    return f"{text} {background}" if behind else f"{background} {text}"


def regular(renderer: Renderer, intent: str, complexity: str) -> str:
    text = request(renderer, intent, complexity)
    # a conversation turn of one more sentence would be a turn about one more matter
    if intent != "conversation" and renderer.draws.chance(BACKGROUND[complexity]):
        return with_background(renderer, text, renderer.draws.between(1, 2))
    return text
