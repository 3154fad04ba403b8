import hashlib
import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from archives.squad_metric import evaluate, normalise
from lightning_modules.data.sources import read_questions
from lightning_modules.errors import UserError
from lightning_modules.synthetic.__main__ import main
from lightning_modules.synthetic.draws import SPLITS
from lightning_modules.synthetic.questions import SyntheticQuestions
from lightning_modules.synthetic.questions.generator import generate
from lightning_modules.synthetic.questions.passage import Passage, occurrences
from lightning_modules.synthetic.questions.templates import load_library

Parts = dict[str, list[Passage]]
DEFAULT = SyntheticQuestions()
SMALL = ("--passages", "30", "--val-passages", "10", "--test-passages", "10", "--long-share", "0.1", "--seed", "7")
SMALL_SHA256 = "e76b27e868a63b49c39889271670f27ede20093d8741ca1ae0a6e0fd3a9cd565"
ENTITY = re.compile(r"\d[\d,.:]*|[^\W\d_a-z][\w-]+(?: [^\W\d_a-z][\w-]+)*")
FUNCTION_WORDS = set(
    re.findall(
        r"\w+",
        "in on at of to by for from with its it he she his her was were is did does do has had what which who when "
        "where how why whose many much long and or not be been as since because once",
    )
)
NUMBER = re.compile(r"\d[\d,.:]*")


@pytest.fixture(scope="module", params=[0, 1])
def parts(request: pytest.FixtureRequest) -> Parts:
    return generated(request.param)


@pytest.fixture(scope="module")
def default_parts() -> Parts:
    return generated(0)


def generated(seed: int) -> Parts:
    counts = {"train": DEFAULT.passages, "val": DEFAULT.val_passages, "test": DEFAULT.test_passages}
    return generate(counts, seed, DEFAULT.long_share)


def test_same_seed_same_bytes_on_every_python(tmp_path: Path) -> None:
    main(["questions", "--out", str(tmp_path), *SMALL])
    written = b"".join((tmp_path / f"{split}.json").read_bytes() for split in SPLITS)
    digest = hashlib.sha256(written).hexdigest()
    assert digest == SMALL_SHA256, "data changed: if templates changed on purpose, store the new digest"


def test_another_seed_gives_other_passages() -> None:
    counts = {"train": 30, "val": 10, "test": 10}
    first, second = ({passage.context for passage in generate(counts, seed, 0.0)["train"]} for seed in (0, 1))
    assert not first & second


def test_files_are_written_anew_only_where_settings_changed(tmp_path: Path) -> None:
    settings = SyntheticQuestions(str(tmp_path), passages=12, val_passages=6, test_passages=6)
    paths = settings.write()
    before = {part: Path(path).stat().st_mtime_ns for part, path in paths.items()}
    settings.write()
    assert {part: Path(path).stat().st_mtime_ns for part, path in paths.items()} == before
    SyntheticQuestions(str(tmp_path), passages=13, val_passages=6, test_passages=6).write()
    after = {part: Path(path).stat().st_mtime_ns for part, path in paths.items()}
    assert {part for part in after if after[part] != before[part]} == {"train"}


def test_files_are_squad_and_every_answer_stands_where_it_says(tmp_path: Path) -> None:
    paths = SyntheticQuestions(str(tmp_path), passages=30, val_passages=10, test_passages=10).write()
    assert list(paths) == list(SPLITS)
    for path in paths.values():
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        assert set(content) == {"version", "data"}
        for article in content["data"]:
            assert set(article) == {"title", "paragraphs"}
            for paragraph in article["paragraphs"]:
                assert set(paragraph) == {"context", "qas"}
                for qa in paragraph["qas"]:
                    assert set(qa) == {"id", "question", "answers"}
                    (answer,) = qa["answers"]
                    start = answer["answer_start"]
                    assert paragraph["context"][start : start + len(answer["text"])] == answer["text"] != ""


def test_the_project_reads_its_files_without_a_repair(tmp_path: Path) -> None:
    settings = SyntheticQuestions(str(tmp_path), passages=30, val_passages=10, test_passages=10)
    for path in settings.write().values():
        questions = read_questions(Path(path), "error")
        assert len(questions.rows) > 25
        assert not questions.repaired
        assert not questions.dropped


def test_every_answer_stands_in_its_context_once(parts: Parts) -> None:
    for passage in all_passages(parts):
        for question in passage.questions:
            end = question.answer_start + len(question.answer)
            assert passage.context[question.answer_start : end] == question.answer
            assert occurrences(question.answer, passage.context) == 1, (question, passage.context)


def test_no_slot_is_left_unfilled(parts: Parts) -> None:
    for passage in all_passages(parts):
        texts = [passage.title, passage.context, *(question.text for question in passage.questions)]
        assert not [text for text in texts if re.search(r"[{}\[\]|]| {2}|\.\.", text)]


def test_the_parts_share_no_template_and_no_question(parts: Parts) -> None:
    for one, other in combinations(SPLITS, 2):
        assert not {p.template for p in parts[one]} & {p.template for p in parts[other]}
        assert not asked(parts[one]) & asked(parts[other])
    assert len({question.id for passage in all_passages(parts) for question in passage.questions}) == sum(
        len(passage.questions) for passage in all_passages(parts)
    )


def test_the_parts_share_no_number(parts: Parts) -> None:
    numbers = {
        split: {n.rstrip(".,:") for p in passages for n in NUMBER.findall(p.context)}
        for split, passages in parts.items()
    }
    assert min(map(len, numbers.values())) > 100
    for one, other in combinations(SPLITS, 2):
        assert not numbers[one] & numbers[other]


def test_no_name_of_one_part_occurs_in_another(default_parts: Parts) -> None:
    names = load_library().names
    endings = ("", *names.shared["town_ending"], *names.shared["landmark_ending"])
    for split in SPLITS:
        own = names.of_split(split, seed=0).dealt
        mine = {name for kind in ("woman_name", "man_name", "surname", "nation_name") for name in own[kind]}
        mine |= {stem + ending for stem in own["stem"] for ending in endings}
        mine |= {stem + ending for stem in own["brand_stem"] for ending in names.shared["brand_ending"]}
        others = words_of([passage for other in SPLITS if other != split for passage in default_parts[other]])
        assert not others & mine
        assert len(words_of(default_parts[split]) & mine) > 100


def test_no_name_is_in_two_lists() -> None:
    """Otherwise one list could deal it to the training part and the other to the test part."""
    dealt = load_library().names.dealt
    people = Counter(name for kind in ("woman_name", "man_name", "surname", "nation_name") for name in dealt[kind])
    places = Counter(name for kind in ("stem", "brand_stem", "epithet", "emblem") for name in dealt[kind])
    assert not [name for counted in (people, places) for name, count in counted.items() if count > 1]


def test_sizes(default_parts: Parts) -> None:
    questions = {split: sum(len(p.questions) for p in passages) for split, passages in default_parts.items()}
    assert questions["train"] > 1400
    assert questions["val"] >= 200
    assert questions["test"] >= 400
    for passages in default_parts.values():
        lengths = [len(passage.context.split()) for passage in passages]
        assert min(lengths) >= 40
        ordinary = [length for length in lengths if length <= 250]
        long = [length for length in lengths if length > 300]
        assert len(ordinary) + len(long) == len(lengths)
        assert 0.01 < len(long) / len(lengths) < 0.06
        assert all(1 <= len(passage.questions) <= 6 for passage in passages)


def test_questions_and_answers_are_of_many_kinds(default_parts: Parts) -> None:
    questions = [question for passage in default_parts["test"] for question in passage.questions]
    words = Counter(question.text.split()[0].lower() for question in questions)
    assert min(words[word] for word in ("what", "who", "when", "where", "how", "which", "why")) >= 5
    lengths = Counter(len(question.answer.split()) for question in questions)
    assert max(lengths) <= 10
    assert sum(count for length, count in lengths.items() if length >= 4) > 0.1 * len(questions)
    assert sum(count for length, count in lengths.items() if length == 1) > 0.1 * len(questions)


def test_most_passages_hold_other_answers_of_the_same_type(default_parts: Parts) -> None:
    """A question for a person or a number is not answered by the only one there is."""
    rivals = [
        len(set(NUMBER.findall(passage.context)) - set(NUMBER.findall(question.answer)))
        for passage in default_parts["test"]
        for question in passage.questions
        if NUMBER.search(question.answer)
    ]
    assert sum(count >= 2 for count in rivals) > 0.8 * len(rivals)


def test_word_overlap_does_not_find_the_answers(default_parts: Parts) -> None:
    """The first name or number of the sentence most like the question, as a reader without understanding has it."""
    answers = (
        (most_alike(question.text, passage.context), [question.answer])
        for passage in default_parts["test"]
        for question in passage.questions
    )
    assert 3 < evaluate(answers)["f1"] < 25


@pytest.mark.parametrize("option", [("--passages", "0"), ("--long-share", "1.5")])
def test_a_wrong_option_is_refused(option: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="the generator was given"):
        main(["questions", "--out", str(tmp_path), *option])


def test_asking_for_too_much_says_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_modules.synthetic.questions.passage.Passage.is_clear", False)
    with pytest.raises(UserError, match="ask for fewer passages, or add names"):
        generate({"train": 1, "val": 1, "test": 1}, 0, 0.0)


def all_passages(parts: Parts) -> list[Passage]:
    return [passage for passages in parts.values() for passage in passages]


def asked(passages: list[Passage]) -> set[str]:
    return {normalise(question.text) for passage in passages for question in passage.questions}


def words_of(passages: list[Passage]) -> set[str]:
    return {word for passage in passages for word in re.findall(r"\w+", passage.context)}


def most_alike(question: str, context: str) -> str:
    asked_words = set(normalise(question).split()) - FUNCTION_WORDS
    sentences = re.split(r"(?<=[.!?])\s", context)
    sentence = max(sentences, key=lambda text: len(asked_words & set(normalise(text).split())))
    entities = [match[0] for match in ENTITY.finditer(sentence)]
    fresh = (entity for entity in entities if not set(normalise(entity).split()) <= asked_words | FUNCTION_WORDS)
    return next(fresh, sentence)
