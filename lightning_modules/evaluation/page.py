"""What every report has: figures as JSON, pictures for a light and a dark ground, and one HTML page of its own."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lightning_modules.evaluation.drawing import DARK, LIGHT, Theme

SHOWN_CHARACTERS = 400  # of one text

Draw = Callable[[Theme], Iterator[tuple[str, bytes]]]
Pictures = dict[str, dict[str, bytes]]  # PNG bytes by name and by ground


def draw_pictures(out: Path, draw: Draw, known: Iterable[str]) -> Pictures:
    """Draws for both grounds, and writes the light ones as `<name>.png`; those of a former report are removed.

    Args:
        draw: gives the pictures' names and PNG bytes.
        known: every name that `draw` may ever give.
    """
    dark = dict(draw(DARK))
    pictures = {name: {"light": light, "dark": dark[name]} for name, light in draw(LIGHT)}
    for name in known:
        (out / f"{name}.png").unlink(missing_ok=True)
    for name, grounds in pictures.items():
        (out / f"{name}.png").write_bytes(grounds["light"])
    return pictures


def write_page(path: Path, template: str, pictures: Pictures, **content: Any) -> None:
    """Renders a template of this folder, the pictures embedded."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {f.__name__[1:]: f for f in (_breakable, _figure, _flat, _percent, _shorten, _words)}
    embedded = {
        name: {ground: b64encode(png).decode("ascii") for ground, png in grounds.items()}
        for name, grounds in pictures.items()
    }
    page = environment.get_template(template).render(pictures=embedded, **content)
    path.write_text(page, encoding="utf-8", errors="backslashreplace")


def _figure(value: Any) -> str:
    """A number as people read it: whole numbers with separators, fractions with four digits, others with fewer."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, list | tuple):
        return ", ".join(_figure(item) for item in value)
    return str(value)


def _decimal(value: float) -> str:
    if value != 0 and abs(value) < 0.001:
        return f"{value:.2g}"
    return f"{value:.4f}" if abs(value) <= 1 else f"{value:,.1f}" if abs(value) >= 100 else f"{value:.2f}"


def _percent(value: float | None) -> str:
    """A fraction of 1 in per cent, without the sign."""
    return "–" if value is None else f"{100 * value:.2f}"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """A nested mapping as rows of dotted name and value."""
    return [
        row
        for key, value in tree.items()
        for row in (_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)])
    ]


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _breakable(name: str) -> Markup:
    """A label that a narrow column may break after an underscore, and is copied without a break."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _words(name: str) -> str:
    return name.replace("_", " ")
