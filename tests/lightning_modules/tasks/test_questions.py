"""Golden requests: few windows in all, as an archive's check runs them as one batch."""

from pathlib import Path

import pytest

from lightning_modules.models.question_answering import QuestionAnswering
from lightning_modules.tasks.questions import GOLDEN_WINDOWS, QuestionTask, few_windows
from tests.lightning_modules.data.test_question_data import question_data, write_squad


def test_long_contexts_give_golden_requests_of_few_windows(tmp_path: Path, tiny_backbone: Path) -> None:
    files = {f"{part}_file": str(write_squad(tmp_path / f"{part}.json", words=20)) for part in ("val", "test")}
    data = question_data(tmp_path, tiny_backbone, **files)
    counts = list(map(len, data.windows_of["test"]))
    assert sum(counts) > 2 * GOLDEN_WINDOWS
    requests = QuestionTask(QuestionAnswering(backbone=str(tiny_backbone)), data).requests()
    rows = list(data.parts["test"].rows)
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
def test_questions_with_few_windows_are_chosen(counts: list[int], chosen: list[int]) -> None:
    assert few_windows(counts) == chosen
