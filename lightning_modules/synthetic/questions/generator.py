"""Generate passages with questions, the library split by template, by name and by number, and write them as SQuAD."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_modules.errors import UserError
from lightning_modules.synthetic.draws import SPLITS, Draws, deal
from lightning_modules.synthetic.questions.names import Filler, Names
from lightning_modules.synthetic.questions.passage import Passage, among, render
from lightning_modules.synthetic.questions.templates import Library, Template, load_library
from lightning_modules.text_files import write_if_changed

HELD_OUT = 0.18  # share of the templates for validation, and again for test
MAX_ATTEMPTS = 100  # draws for a passage that is new and clear, before the library counts as used up
LONG_CONTEXT = 340  # words; more than 384 tokens, as names and numbers have several each


@dataclass(frozen=True)
class SyntheticQuestions:
    """Passages with questions as train.json, val.json and test.json: the same settings give the same bytes.

    Args:
        folder: folder for the three files.
        passages: number of training passages, with three to six questions each.
        seed: seed of every draw.
        val_passages: number of validation passages.
        test_passages: number of test passages.
        long_share: share of the passages, 0 to 1, that stand among others in a context longer than 384 tokens.
    """

    folder: str = "data/qa"
    passages: int = 330
    seed: int = 0
    val_passages: int = 50
    test_passages: int = 90
    long_share: float = 0.03

    def __post_init__(self) -> None:
        if min(self.passages, self.val_passages, self.test_passages) < 1 or not 0 <= self.long_share <= 1:
            raise UserError(
                f"the generator was given passages {self.passages}, val_passages {self.val_passages}, "
                f"test_passages {self.test_passages} and long_share {self.long_share}: "
                "give 1 or more of each, and a share from 0 to 1"
            )

    def write(self) -> dict[str, str]:
        """Write the three files and return their paths by split."""
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        counts = {"train": self.passages, "val": self.val_passages, "test": self.test_passages}
        paths = {}
        for split, passages in generate(counts, self.seed, self.long_share).items():
            path = Path(self.folder) / f"{split}.json"
            write_if_changed(path, json.dumps(as_squad(passages), ensure_ascii=False) + "\n")
            paths[split] = str(path)
        return paths


def generate(
    passages: Mapping[str, int], seed: int, long_share: float, library: Library | None = None
) -> dict[str, list[Passage]]:
    """Return the number of passages asked for each split; no context twice, and no question in two splits.

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
        rendered = _split(split, dealt[split], names, passages[split], seed, long_share, asked)
        asked |= {question.text.casefold() for passage in rendered for question in passage.questions}
        result[split] = rendered
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
    """Render each template in turn; `asked` holds the questions of other splits."""
    rendered: list[Passage] = []
    contexts: set[str] = set()
    lengthened = set(Draws(seed, split, "long").sample(range(count), round(count * long_share)))
    for number in range(count):
        template = templates[number % len(templates)]
        draws = Draws(seed, split, template.name, number)
        others = [other for other in templates if other is not template] if number in lengthened else []
        for _ in range(MAX_ATTEMPTS):
            passage = _passage(template, others, Filler(names, split, draws), f"{split}-{number}")
            new = not any(question.text.casefold() in asked for question in passage.questions)
            if new and passage.context not in contexts and passage.questions and passage.is_clear:
                break
        else:
            raise UserError(
                f"{template.name}: no new passage after {number} of {split}: ask for fewer passages, or add names"
            )
        contexts.add(passage.context)
        rendered.append(passage)
    return Draws(seed, split, "order").shuffled(rendered)


def _passage(template: Template, others: Sequence[Template], filler: Filler, id_prefix: str) -> Passage:
    """Render one passage, in a long context if there are `others` to surround it."""
    passage = render(template, filler, id_prefix)
    if not others:
        return passage
    around: list[Passage] = []
    words = len(passage.context.split())
    for other in filler.draws.shuffled(others):
        around.append(render(other, filler, id_prefix))
        words += len(around[-1].context.split())
        if words >= LONG_CONTEXT:
            break
    return among(passage, around, filler.draws.between(0, len(around)))


def as_squad(passages: list[Passage]) -> dict[str, Any]:
    """Return SQuAD's nested JSON, with an article of one paragraph for each passage."""
    return {
        "version": "1.1",
        "data": [
            {
                "title": passage.title,
                "paragraphs": [
                    {
                        "context": passage.context,
                        "qas": [
                            {
                                "id": question.id,
                                "question": question.text,
                                "answers": [{"text": question.answer, "answer_start": question.answer_start}],
                            }
                            for question in passage.questions
                        ],
                    }
                ],
            }
            for passage in passages
        ],
    }
