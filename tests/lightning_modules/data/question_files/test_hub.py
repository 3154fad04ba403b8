"""Questions of the hub, or of a folder in its layout."""

from pathlib import Path

import datasets
import huggingface_hub
import pytest
from datasets import Dataset

from lightning_modules.data.question_files import read_hub
from lightning_modules.errors import UserError
from tests.support.squad_rows import ROWS, answer, flat


def test_a_folder_in_hub_layout_gives_its_parts(tmp_path: Path) -> None:
    guessed = flat(id="guess", answers=answer(3))
    for split, rows in {"train": ROWS, "validation": [guessed]}.items():
        Dataset.from_list(rows).to_parquet(tmp_path / "hub" / "plain_text" / f"{split}-00000-of-00001.parquet")
    parts = read_hub(str(tmp_path / "hub"))
    assert list(parts["train"].rows) == ROWS
    assert parts["val"].rows["answers"][0] == {"text": ["Paris"], "answer_start": [-1]}
    assert set(parts) == {"train", "val"}


def test_a_hub_out_of_reach_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"'nobody/squad' could not be loaded .*give files: --data\.train_file"
    ) as caught:
        read_hub("nobody/squad")
    assert "\n" not in str(caught.value)
