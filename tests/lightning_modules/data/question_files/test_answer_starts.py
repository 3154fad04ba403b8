"""An answer stands where its row says, or the row does not say where."""

from pathlib import Path

import pytest

from lightning_modules.data.question_files import read_questions
from lightning_modules.errors import UserError
from tests.support.squad_rows import CONTEXT, answer, flat, written


def test_every_answer_stands_where_the_row_says(tmp_path: Path) -> None:
    rows = [
        flat(id="late", answers=answer(3, text="1973")),
        flat(id="right"),
        flat(id="none", answers=answer(0, text="Zoë")),
    ]
    questions = read_questions(written(tmp_path / "rows.json", rows), "error")
    for row in questions.rows:
        for text, start in zip(*(row["answers"][key] for key in ("text", "answer_start")), strict=True):
            assert row["context"].startswith(text, start)
    assert questions.repaired == 1


def test_starts_are_not_checked_where_they_are_not_used(tmp_path: Path) -> None:
    rows = [
        flat(id="guess", answers=answer(3)),
        flat(id="absent", answers={"text": ["Paris"]}),
        flat(id="elsewhere", answers=answer(3, text="London")),
        flat(id="once", answers=answer(3, text="1973")),
    ]
    path = written(tmp_path / "rows.json", rows)
    questions = read_questions(path, "error", check_starts=False)
    starts = {row["id"]: row["answers"]["answer_start"] for row in questions.rows}
    assert starts == {"guess": [-1], "absent": [-1], "elsewhere": [-1], "once": [CONTEXT.index("1973")]}
    assert questions.repaired == 1
    with pytest.raises(UserError, match="'guess'"):
        read_questions(path, "error")
