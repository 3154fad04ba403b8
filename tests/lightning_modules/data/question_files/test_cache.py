"""What was read is kept for the next run."""

from pathlib import Path

from lightning_modules.data.question_files import read_questions
from tests.support.squad_rows import ROWS, written


def test_a_changed_file_is_read_anew_and_the_same_content_is_not(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.json", ROWS)
    first = read_questions(path, "error").rows
    again = read_questions(written(tmp_path / "copy.json", ROWS), "error").rows
    assert first.cache_files == again.cache_files != []
    assert list(read_questions(written(path, ROWS[1:]), "error").rows) == ROWS[1:]
