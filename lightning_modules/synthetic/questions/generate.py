"""The generator: passages from a library that is split by template, by name and by number."""

from collections.abc import Mapping, Sequence

from lightning_modules.errors import UserError
from lightning_modules.synthetic.draws import Draws
from lightning_modules.synthetic.questions.names import Filler, Names
from lightning_modules.synthetic.questions.passage import Passage, among, render
from lightning_modules.synthetic.questions.templates import Library, Template, load_library
from lightning_modules.synthetic.splits import SPLITS, deal

HELD_OUT = 0.18  # of the templates, for validation and again for test
ATTEMPTS = 100  # at a passage that is new and clear, before the library counts as used up
LONG_WORDS = 340  # more than 384 tokens, with names and numbers of several tokens


def generate(
    passages: Mapping[str, int], seed: int, long_share: float, library: Library | None = None
) -> dict[str, list[Passage]]:
    """So many passages of each split; no context twice, and no question in two splits.

    Raises:
        UserError: a template has a mistake, or the names do not suffice.
    """
    library = library or load_library()
    if len(library.templates) < len(SPLITS):
        raise UserError(
            f"there are {len(library.templates)} templates: each of {', '.join(SPLITS)} needs one of its own"
        )
    dealt = deal(library.templates, HELD_OUT, Draws(seed, "templates"))
    asked: set[str] = set()
    result = {}
    for split in reversed(SPLITS):  # training gives way to the test
        names = library.names.of_split(split, seed)
        made = _split(split, dealt[split], names, passages[split], seed, long_share, asked)
        asked |= {question.text.casefold() for passage in made for question in passage.questions}
        result[split] = made
    return {split: result[split] for split in SPLITS}


def _split(
    split: str,
    templates: Sequence[Template],
    names: Names,
    count: int,
    seed: int,
    long_share: float,
    asked: set[str],
) -> list[Passage]:
    """Each template in turn; `asked` are the questions of other splits."""
    made: list[Passage] = []
    contexts: set[str] = set()
    lengthened = set(Draws(seed, split, "long").sample(range(count), round(count * long_share)))
    for number in range(count):
        template = templates[number % len(templates)]
        draws = Draws(seed, split, template.name, number)
        others = [other for other in templates if other is not template] if number in lengthened else []
        for _ in range(ATTEMPTS):
            passage = _passage(template, others, Filler(names, split, draws), f"{split}-{number}")
            new = not any(question.text.casefold() in asked for question in passage.questions)
            if new and passage.context not in contexts and passage.questions and passage.is_clear:
                break
        else:
            raise UserError(
                f"{template.name}: no new passage after {number} of {split}: ask for fewer passages, or add names"
            )
        contexts.add(passage.context)
        made.append(passage)
    return Draws(seed, split, "order").shuffled(made)


def _passage(template: Template, others: Sequence[Template], filler: Filler, id_prefix: str) -> Passage:
    """One passage; with `others` to choose from, in a long context."""
    passage = render(template, filler, id_prefix)
    if not others:
        return passage
    around: list[Passage] = []
    words = len(passage.context.split())
    for other in filler.draws.shuffled(others):
        around.append(render(other, filler, id_prefix))
        words += len(around[-1].context.split())
        if words >= LONG_WORDS:
            break
    return among(passage, around, filler.draws.between(0, len(around)))
