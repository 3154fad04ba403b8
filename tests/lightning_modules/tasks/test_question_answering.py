"""Choose golden requests of few windows, which an archive checks in one batch; compare forms on whole questions."""

from pathlib import Path

import pytest

from lightning_modules.errors import UserError
from lightning_modules.models.question_answering import QuestionAnswering
from lightning_modules.tasks.question_answering import GOLDEN_WINDOWS, QuestionTask, even_questions, short_questions
from tests.support.question_data import question_data, write_squad
from tests.support.tiny_qa_export import random_outputs


def test_long_contexts_give_golden_requests_of_short_questions(tmp_path: Path, tiny_backbone: Path) -> None:
    files = {f"{part}_file": str(write_squad(tmp_path / f"{part}.json", words=20)) for part in ("val", "test")}
    data = question_data(tmp_path, tiny_backbone, **files)
    counts = list(map(len, data.windows_of["test"]))
    assert sum(counts) > 2 * GOLDEN_WINDOWS
    requests = QuestionTask(QuestionAnswering(backbone=str(tiny_backbone)), data).requests()
    rows = list(data.splits["test"].rows)
    asked = [rows.index(next(row for row in rows if request.items() <= row.items())) for request in requests]
    assert len(asked) > 1
    assert sum(counts[i] for i in asked) <= GOLDEN_WINDOWS


@pytest.mark.parametrize(
    ("counts", "chosen"),
    [
        ([1, 40, 3, 4, 2], [0, 2, 4]),
        ([50, 40, 60, 56], [0, 1]),
        ([500, 400], [1]),
    ],
)
def test_questions_with_short_questions_are_chosen(counts: list[int], chosen: list[int]) -> None:
    assert short_questions(counts) == chosen


def test_forms_are_compared_on_whole_questions_of_all_the_part(tmp_path: Path, tiny_backbone: Path) -> None:
    files = {f"{part}_file": str(write_squad(tmp_path / f"{part}.json")) for part in ("val", "test")}
    data = question_data(tmp_path, tiny_backbone, **files)
    task = QuestionTask(QuestionAnswering(backbone=str(tiny_backbone)), data)
    rows = task.sample(len(task.rows) // 2)
    questions = data.tokenised["test"].select(rows)["question"][:]
    assert (questions[0], questions[-1]) == (0, 11)
    assert rows == [row for question in sorted(set(questions)) for row in data.windows_of["test"][question]]
    outputs = random_outputs([task.rows[i] for i in rows])
    quality = task.form_metrics(outputs, outputs, rows)
    assert quality["questions"] == len(set(questions))
    assert quality["agreement"] == 1


@pytest.mark.parametrize(
    ("counts", "limit", "chosen"),
    [([1] * 9, 3, [0, 4, 8]), ([1, 2, 1], 9, [0, 1, 2]), ([3, 1, 1, 1, 3], 6, [0, 4]), ([3, 1, 1, 1, 3], 7, [0, 2, 4])],
)
def test_compared_questions_are_spread_and_have_no_more_windows(
    counts: list[int], limit: int, chosen: list[int]
) -> None:
    assert even_questions(counts, limit) == chosen


def test_fewer_rows_than_a_question_has_windows_are_refused() -> None:
    with pytest.raises(UserError, match=r"export\.check_rows is less than the windows of one question"):
        even_questions([3, 1], 2)
