"""Decode answers from outputs: each question once, and with scores of the temperature."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archives.squad_metric import exact_match
from lightning_modules.data.questions import QuestionData
from lightning_modules.tasks.answers import BestAnswers, fitted_temperature
from tests.support.question_data import question_data, write_squad
from tests.support.tiny_qa_export import Outputs, random_outputs


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> QuestionData:
    folder = tmp_path_factory.mktemp("squad")
    files = {f"{part}_file": str(write_squad(folder / f"{part}.json")) for part in ("val", "test")}
    return question_data(folder, tiny_backbone, **files)


@pytest.fixture
def decoded(data: QuestionData, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The questions that are decoded from here on."""
    seen: list[int] = []
    original = data.answer

    def answer(part: str, question: int, *more: Any) -> Any:
        seen.append(question)
        return original(part, question, *more)

    monkeypatch.setattr(data, "answer", answer)
    return seen


def test_outputs_are_decoded_once_and_a_part_of_them_not_again(data: QuestionData, decoded: list[int]) -> None:
    rows = data.tokenised["test"]["input_ids"][:]
    assert len(rows) > len(data.windows_of["test"])
    outputs, answers = random_outputs(rows), BestAnswers(data, "test")
    whole = answers.of(outputs, 1.0)
    chosen = [1, 5, 11]
    windows = [window for question in chosen for window in data.windows_of["test"][question]]
    part = answers.of({name: [values[i] for i in windows] for name, values in outputs.items()}, 1.0, chosen)
    assert answers.of(outputs, 1.0) == whole
    assert part == [whole[question] for question in chosen]
    assert decoded == list(range(12))


def test_other_outputs_are_decoded_for_themselves(data: QuestionData) -> None:
    rows = data.tokenised["test"]["input_ids"][:]
    answers = BestAnswers(data, "test")
    by_seed = [answers.of(random_outputs(rows, seed), 1.0) for seed in range(5)]
    assert by_seed == [BestAnswers(data, "test").of(random_outputs(rows, seed), 1.0) for seed in range(5)]
    assert by_seed[0] != by_seed[1]


def test_an_answer_whose_token_starts_at_a_combining_mark_stands_where_its_text_does(
    tmp_path: Path, tiny_backbone: Path
) -> None:
    context = "what is !\u093e"  # the vowel sign is a token of its own, and belongs to the character before it
    row = {"id": "1", "question": "who", "context": context, "answers": {"text": ["!"], "answer_start": [8]}}
    path = tmp_path / "marks.jsonl"
    path.write_text(json.dumps(row))
    data = question_data(tmp_path, tiny_backbone, test_file=str(path))
    (window,) = data.windows("test", 0)
    (ids,) = data.tokenised["test"]["input_ids"][:]
    logits = np.zeros(len(ids), np.float32)
    logits[window.first + [start for start, _ in window.offsets].index(9)] = 9
    (answered,) = BestAnswers(data, "test").of({"start_logits": [logits], "end_logits": [logits]}, 1.0)
    assert (answered.answer, answered.start) == ("!\u093e", 8)


def test_a_temperature_changes_scores_and_no_answers(data: QuestionData) -> None:
    outputs = random_outputs(data.tokenised["test"]["input_ids"][:])
    plain, sharp = (BestAnswers(data, "test").of(outputs, temperature) for temperature in (1.0, 0.5))
    assert [one.answer for one in plain] == [one.answer for one in sharp]
    assert all(one.score < other.score for one, other in zip(plain, sharp, strict=True))


def test_the_temperature_makes_scores_of_validation_answers_tell_best_how_often_they_are_right(
    data: QuestionData,
) -> None:
    windows = data.tokenised["val"]

    def outputs_of(rows: list[list[int]]) -> Outputs:
        """Two questions of three lean to the first reference, where a window has it."""
        assert rows == windows["input_ids"][:]
        outputs = random_outputs(rows)
        for name in ("start", "end"):
            for values, position, question in zip(
                outputs[f"{name}_logits"], windows[name], windows["question"], strict=True
            ):
                values[position] += 9.0 if position and question % 3 else 0.0
        return outputs

    def loss(temperature: float) -> float:
        answered = BestAnswers(data, "val").of(outputs_of(windows["input_ids"][:]), temperature)
        right = [exact_match(one.answer, one.references) == 1 for one in answered]
        assert sum(right) == 8
        shares = {True: 9 / 10, False: 1 / 6}  # Platt's, of 8 right and 4 wrong ones
        pairs = [(shares[hit], one.score) for hit, one in zip(right, answered, strict=True)]
        return -float(np.mean([share * np.log(score) + (1 - share) * np.log(1 - score) for share, score in pairs]))

    temperature, count = fitted_temperature(data, outputs_of)
    assert count == 12
    assert loss(temperature) < min(loss(temperature * 0.95), loss(temperature * 1.05))


def test_the_temperature_is_fitted_on_short_questions_however_long_the_contexts(
    data: QuestionData, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = len(data.tokenised["val"]) // 3
    monkeypatch.setattr("lightning_modules.tasks.answers.FITTED_WINDOWS", limit)
    ran: list[int] = []

    def outputs_of(rows: list[list[int]]) -> Outputs:
        ran.append(len(rows))
        return random_outputs(rows)

    _, count = fitted_temperature(data, outputs_of)
    assert count == 4
    assert ran[0] <= limit + max(map(len, data.windows_of["val"]))
