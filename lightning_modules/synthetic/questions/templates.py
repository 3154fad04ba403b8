"""Read the passage templates of `templates/questions/*.yaml`, and refuse every mistake in them.

A file holds passage templates by name; `names.yaml` beside them holds the names. A block of text holds one wording a
line, and one of them is drawn. A template has

- `title`;
- `values`: what stands for each `{slot}` of the texts, a pattern (see `names`), or a block of them;
- `opening`: the first sentence or sentences;
- `body`: a list of blocks, in any order unless `in_order: true`; a passage may leave some out, the last if in order;
- `asides`: further sentences, of which some are strewn in: a block is one wording of each;
- `questions`: wordings by the value that is the answer. That value stands in every wording of one block, once, and
  nowhere else, so that every question has one answer.

`{slot.last}` is the last word of a value: the surname.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lightning_modules.errors import UserError
from lightning_modules.synthetic.questions.names import NUMBER, SLOT, Names, is_wide, slots_of

TEMPLATES = Path(__file__).parent.parent / "templates" / "questions"
NAMES = "names.yaml"
KEYS = {"title", "values", "opening", "body", "in_order", "asides", "questions"}
MIN_QUESTIONS = 3
ENDS_IN_YEAR = re.compile(r"\{(?:year|date) [^{}]*\}$")

Wordings = tuple[str, ...]


@dataclass(frozen=True)
class Template:
    name: str
    title: str
    values: Mapping[str, Wordings]
    opening: Wordings
    body: tuple[Wordings, ...]
    in_order: bool
    asides: Wordings
    questions: Mapping[str, Wordings]

    @property
    def blocks(self) -> tuple[Wordings, ...]:
        """Return the opening and the body: all that questions can be answered from."""
        return (self.opening, *self.body)


@dataclass(frozen=True)
class Library:
    templates: tuple[Template, ...]
    names: Names


def load_library(folder: Path = TEMPLATES) -> Library:
    """Read all templates of a folder, and its names.

    Raises:
        UserError: a file or a template is not as described above.
    """
    names = load_names(folder / NAMES)
    templates: dict[str, Template] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name == NAMES:
            continue
        for name, raw in _read(path).items():
            if name in templates:
                raise UserError(f"{path}: a template {name!r} stands in another file already")
            try:
                templates[name] = _template(name, raw)
                _check(templates[name], names)
            except _Mistake as mistake:
                raise UserError(f"{path}: template {name!r}: {mistake}") from mistake
    return Library(tuple(templates[name] for name in sorted(templates)), names)


def load_names(path: Path) -> Names:
    raw = _read(path)
    try:
        _require_keys(raw, {"dealt", "shared", "kinds"})
        names = Names(*({key: _lines(key, block) for key, block in raw[group].items()} for group in raw))
        twice = [key for key, count in Counter((*names.dealt, *names.shared, *names.kinds)).items() if count > 1]
        if twice:
            raise _Mistake(f"{twice[0]} stands twice")
        for kind, patterns in names.kinds.items():
            _require_known(f"kind {kind}", patterns, lambda slot: slot in names)
    except _Mistake as mistake:
        raise UserError(f"{path}: {mistake}") from mistake
    return names


class _Mistake(Exception):
    """A mistake in one template; the message lacks the name of the file."""


def _template(name: str, raw: Any) -> Template:
    _require_keys(raw, KEYS, optional={"in_order", "asides"})
    if not isinstance(raw["values"], dict) or not isinstance(raw["questions"], dict):
        raise _Mistake("values and questions are mappings")
    if not isinstance(raw["body"], list) or not isinstance(raw.get("in_order", False), bool):
        raise _Mistake("body is a list of blocks, in_order is true or false")
    return Template(
        name=name,
        title=_lines("title", raw["title"])[0],
        values={key: _lines(f"values.{key}", block) for key, block in raw["values"].items()},
        opening=_lines("opening", raw["opening"]),
        body=tuple(_lines("body", block) for block in raw["body"]),
        in_order=raw.get("in_order", False),
        asides=_lines("asides", raw["asides"]) if "asides" in raw else (),
        questions={key: _lines(f"questions.{key}", block) for key, block in raw["questions"].items()},
    )


def _check(template: Template, names: Names) -> None:
    declared: set[str] = set()
    for value, patterns in template.values.items():
        if value in names:
            raise _Mistake(f"values.{value} is the name of a kind: give the value another")
        _require_known(f"values.{value}", patterns, lambda slot: slot in names or slot in declared)
        _check_numbers(template, value)
        declared.add(value)
    texts = {
        "title": (template.title,),
        "text": tuple(wording for block in (*template.blocks, template.asides) for wording in block),
        **{f"questions.{answer}": wordings for answer, wordings in template.questions.items()},
    }
    for where, wordings in texts.items():
        _require_known(where, wordings, lambda slot: slot.removesuffix(".last") in declared)
        _forbid_numbers(where, wordings)
    _check_questions(template)
    used = (slot.removesuffix(".last") for wording in texts["text"] for slot in slots_of(wording))
    inside = (slot for patterns in template.values.values() for pattern in patterns for slot in slots_of(pattern))
    if unused := sorted(declared - {*used, *inside}):
        raise _Mistake(f"values.{unused[0]} is used nowhere")
    if len(template.questions) < MIN_QUESTIONS:
        raise _Mistake(f"questions ask for {len(template.questions)} values: {MIN_QUESTIONS} at least")


def _check_numbers(template: Template, value: str) -> None:
    for slot in (slot for pattern in template.values[value] for slot in SLOT.findall(pattern)):
        if not is_wide(slot):
            raise _Mistake(f"values.{value}: {{{slot}}} is too narrow for numbers of every split")
        number = NUMBER.fullmatch(slot)
        base = template.values.get(number["after"], ()) if number and number["after"] else ()
        if not all(ENDS_IN_YEAR.search(pattern) for pattern in base):
            raise _Mistake(f"values.{value}: {{{slot}}} counts from a value that does not end in a year or date")


def _check_questions(template: Template) -> None:
    for answer, wordings in template.questions.items():
        if answer not in template.values:
            raise _Mistake(f"questions.{answer}: there is no such value")
        slot = f"{{{answer}}}"
        blocks = [block for block in template.blocks if any(slot in wording for wording in block)]
        if not blocks:
            raise _Mistake(f"questions.{answer}: {slot} does not occur in opening or body")
        if len(blocks) > 1 or any(slot in wording for wording in template.asides):
            raise _Mistake(f"questions.{answer}: {slot} occurs in more than one block: an answer stands once")
        for wording in blocks[0]:
            if wording.count(slot) != 1:
                raise _Mistake(
                    f"questions.{answer}: {slot} stands {wording.count(slot)} times in {wording!r}: not once"
                )
        if revealing := [wording for wording in wordings if slot in wording]:
            raise _Mistake(f"questions.{answer}: the answer stands in its question {revealing[0]!r}")
    asked = [wording for wordings in template.questions.values() for wording in wordings]
    if twice := [wording for wording, count in Counter(asked).items() if count > 1]:
        raise _Mistake(f"questions: {twice[0]!r} stands twice")


def _require_keys(raw: Any, keys: Set[str], optional: Set[str] = frozenset()) -> None:
    if not isinstance(raw, dict):
        raise _Mistake(f"expected a mapping with {', '.join(sorted(keys))}")
    if missing := sorted(keys - optional - set(raw)):
        raise _Mistake(f"{missing[0]} is missing")
    if unknown := sorted(map(str, set(raw) - keys)):
        raise _Mistake(f"unknown key {unknown[0]!r}: known are {', '.join(sorted(keys))}")


def _require_known(where: str, wordings: Wordings, known: Callable[[str], bool]) -> None:
    for wording in wordings:
        if SLOT.sub("", wording).count("{") or SLOT.sub("", wording).count("}"):
            raise _Mistake(f"{where}: a brace is not closed in {wording!r}")
        for slot in slots_of(wording):
            if not known(slot):
                raise _Mistake(f"{where}: unknown slot {{{slot}}} in {wording!r}")


def _forbid_numbers(where: str, wordings: Wordings) -> None:
    for wording in wordings:
        if any(character.isdigit() for character in SLOT.sub("", wording)):
            raise _Mistake(f"{where}: a number is written out in {wording!r}: make it a value, so that splits differ")


def _lines(where: str, block: Any) -> Wordings:
    lines = tuple(line.strip() for line in block.splitlines() if line.strip()) if isinstance(block, str) else ()
    if not lines:
        raise _Mistake(f"{where} is not a text with at least one line")
    return lines


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping of names")
    return content


class _UniqueKeys(yaml.SafeLoader):
    """Refuse a key that stands twice, of which YAML would keep the second."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: Iterator[Any] = (self.construct_object(key, deep=True) for key, _ in node.value)
        if twice := [key for key, count in Counter(keys).items() if count > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)
