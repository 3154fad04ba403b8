"""Render one passage and its questions, with the exact place of every answer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lightning_modules.synthetic.draws import Draws
from lightning_modules.synthetic.library import capitalised
from lightning_modules.synthetic.questions.names import SLOT, Filler, choose_sides
from lightning_modules.synthetic.questions.templates import Template

MIN_QUESTIONS, MAX_QUESTIONS = 3, 6  # questions of a passage
MAX_ASIDES = 2
GAP = "\n"  # separates the passages of a long context


@dataclass(frozen=True)
class Question:
    """`answer` stands at `answer_start` of the context, in characters."""

    id: str
    text: str
    answer: str
    answer_start: int
    names_its_subject: bool


@dataclass(frozen=True)
class Passage:
    title: str
    context: str
    questions: tuple[Question, ...]
    template: str

    @property
    def is_clear(self) -> bool:
        """Tell whether every answer stands in the context once, so that no other place could be meant."""
        return all(occurrences(question.answer, self.context) == 1 for question in self.questions)


@dataclass
class Text:
    """A text that grows, with the start of every value in it, in characters."""

    text: str = ""
    starts: dict[str, int] = field(default_factory=dict)

    def add(self, wording: str, values: Mapping[str, str]) -> None:
        """Add a sentence; a value that opens one gets a capital."""
        self.text += " " if self.text else ""
        position = 0
        for match in SLOT.finditer(wording):
            self.text += wording[position : match.start()]
            filled = value_of(match[1], values)
            opens = not self.text.strip() or self.text.rstrip()[-1] in ".!?"
            self.starts[match[1]] = len(self.text)
            self.text += capitalised(filled) if opens else filled
            position = match.end()
        self.text += wording[position:]

    def holds(self, wording: str) -> bool:
        """Tell whether every value that a question mentions stands in the text."""
        return all(slot.removesuffix(".last") in self.starts for slot in SLOT.findall(wording))


def render(template: Template, filler: Filler, id_prefix: str) -> Passage:
    draws = filler.draws
    values: dict[str, str] = {}
    for name, patterns in template.values.items():
        values[name] = filler.fill(draws.choice(patterns), values)
    text = Text()
    for wording in _wordings(template, draws):
        text.add(choose_sides(wording, draws), values)
    questions = []
    for answer in draws.sample(
        sorted(set(template.questions) & set(text.starts)), draws.between(MIN_QUESTIONS, MAX_QUESTIONS)
    ):
        answerable = [wording for wording in template.questions[answer] if text.holds(wording)]
        if not answerable:
            continue
        wording, start = draws.choice(answerable), text.starts[answer]
        questions.append(
            Question(
                id=f"{id_prefix}-{answer}",
                text=fill_question(choose_sides(wording, draws), values),
                answer=text.text[start : start + len(values[answer])],
                answer_start=start,
                names_its_subject=SLOT.search(wording) is not None,
            )
        )
    return Passage(fill_question(template.title, values), text.text, tuple(questions), template.name)


def among(passage: Passage, others: Sequence[Passage], position: int) -> Passage:
    """Return the passage in a longer context, with those of its questions that name their subject."""
    before = GAP.join(other.context for other in others[:position])
    shift = len(before) + len(GAP) if before else 0
    parts = [*others[:position], passage, *others[position:]]
    questions = (question for question in passage.questions if question.names_its_subject)
    return replace(
        passage,
        context=GAP.join(part.context for part in parts),
        questions=tuple(replace(question, answer_start=question.answer_start + shift) for question in questions),
    )


def fill_question(wording: str, values: Mapping[str, str]) -> str:
    return capitalised(SLOT.sub(lambda match: value_of(match[1], values), wording))


def value_of(slot: str, values: Mapping[str, str]) -> str:
    return values[slot.removesuffix(".last")].split()[-1] if slot.endswith(".last") else values[slot]


def occurrences(phrase: str, text: str) -> int:
    return len(re.findall(r"(?<!\w)" + re.escape(phrase) + r"(?!\w)", text, re.IGNORECASE))


def _wordings(template: Template, draws: Draws) -> list[str]:
    """Draw the opening, some blocks and some asides; where blocks stand in order, the last ones are left out."""
    count = draws.between(min(MIN_QUESTIONS, len(template.body)), len(template.body))
    blocks = template.body[:count] if template.in_order else draws.sample(template.body, count)
    body = [draws.choice(block) for block in blocks]
    for aside in draws.sample(template.asides, draws.between(0, MAX_ASIDES)):
        body.insert(draws.between(0, len(body)), aside)
    return [draws.choice(template.opening), *body]
