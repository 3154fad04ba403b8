import re
from pathlib import Path

import pytest

from lightning_modules.errors import UserError
from lightning_modules.synthetic.questions.generator import generate
from lightning_modules.synthetic.questions.templates import Library, load_library

NAMES = """
dealt:
  first: |
    Ada
    Ben
    Cleo
    Dan
    Eve
    Flo
    Gus
    Hal
    Ida
    Jo
    Kit
    Leo
    Mia
    Ned
    Oda
  last: |
    Ash
    Birch
    Cedar
    Dogwood
    Elm
    Fir
    Gorse
    Hazel
    Ivy
    Juniper
    Kapok
    Larch
    Maple
    Nutmeg
    Oak
shared:
  ending: |
    ford
    wick
kinds:
  person: "{first} {last}"
  town: "{last}{ending}"
"""
TEMPLATE = """
mill:
  title: "the mill of {place}"
  values:
    place: "{town}"
    miller: "{person}"
    heir: "{person}"
    built: "{year 1700-1800}"
    grain: |
      barley
      rye
  opening: |
    {miller} built the mill of {place} in {built}.
    In {built} the mill of {place} was built by {miller}.
  body:
    - |
      It ground {grain} for {heir}, a cousin of {miller.last}.
  questions:
    miller: |
      Who built the mill of {place}?
    built: |
      When was the mill of {place} built?
    grain: |
      What was ground [there|in {place}]?
"""


def write(folder: Path, template: str = TEMPLATE, names: str = NAMES) -> Path:
    (folder / "names.yaml").write_text(names, encoding="utf-8")
    (folder / "mills.yaml").write_text(template, encoding="utf-8")
    return folder


def three_templates(folder: Path) -> Library:
    names = "mill", "mine", "inn"
    return load_library(write(folder, "".join(TEMPLATE.replace("mill", name) for name in names)))


def test_a_users_templates_are_read_and_used(tmp_path: Path) -> None:
    parts = generate({"train": 2, "val": 1, "test": 1}, 0, 0.0, three_templates(tmp_path))
    for passages in parts.values():
        for passage in passages:
            assert re.match(
                r"In 1\d{3} the (mill|mine|inn) of \w+(ford|wick) was built by|\w+ \w+ built", passage.context
            )
            assert len(passage.questions) == 3


def test_too_few_templates_for_three_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are 1 templates"):
        generate({"train": 1, "val": 1, "test": 1}, 0, 0.0, load_library(write(tmp_path)))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("It ground {grain} for", "It ground corn for", r"questions.grain: \{grain\} does not occur"),
        ("    In {built} the mill", "    Then the mill", r"questions.built: \{built\} stands 0 times"),
        ("a cousin of {miller.last}", "a cousin of {miller}", "miller} occurs in more than one block"),
        ("for {heir}, a", "for {hair}, a", r"text: unknown slot \{hair\}"),
        ("for {heir}, a", "for {heir, a", "a brace is not closed"),
        ('    heir: "{person}"\n', '    heir: "{person}"\n    extra: "{person}"\n', "values.extra is used nowhere"),
        ('    place: "{town}"', '    place: "{village}"', r"values.place: unknown slot \{village\}"),
        ('    heir: "{person}"', '    heir: "{person}"\n    town: "{last}"', "values.town is the name of a kind"),
        ("{year 1700-1800}", "{year 1700-1704}", "too narrow"),
        ("{year 1700-1800}", "{year miller+1-20}", "does not end in a year or date"),
        ("for {heir}, a", "for 12 years for {heir}, a", "a number is written out"),
        ("Who built the mill of {place}?", "Who but {miller} built it?", "the answer stands in its question"),
        ("When was the mill of {place} built?", "Who built the mill of {place}?", "stands twice"),
        ("    grain: |\n      What was ground [there|in {place}]?\n", "", "2 values: 3 at least"),
        ("    built: |\n      When", "    rebuilt: |\n      When", "questions.rebuilt: there is no such value"),
        ("    grain: |\n      What", "    miller: |\n      What", "'miller' stands twice"),
        ("  title:", "  name:", "title is missing"),
        ("  title:", "  kind: x\n  title:", "unknown key 'kind'"),
        ("  opening: |\n", "  opening: \n", None),
    ],
)
def test_a_mistake_in_a_template_is_told_with_its_place(old: str, new: str, told: str | None, tmp_path: Path) -> None:
    assert old in TEMPLATE
    with pytest.raises(UserError, match=told) as error:
        load_library(write(tmp_path, TEMPLATE.replace(old, new, 1)))
    assert "mills.yaml" in str(error.value)


def test_two_templates_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(TEMPLATE, encoding="utf-8")
    with pytest.raises(UserError, match="'mill' stands in another file"):
        load_library(write(tmp_path))
    with pytest.raises(UserError, match="'mill' stands twice"):
        load_library(write(tmp_path, TEMPLATE + TEMPLATE))


def test_a_mistake_in_the_names_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"names.yaml: kind town: unknown slot \{suffix\}"):
        load_library(write(tmp_path, names=NAMES.replace("{ending}", "{suffix}")))
