"""Test the cache of tokenised rows, and when it is made anew."""

import importlib
from pathlib import Path

import pytest
from datasets import Dataset

from lightning_modules.data.cache import cached_tokens

CODE = """
class Encoder:
    def encode(self, batch):
        return {{"length": [len(text) + {more} for text in batch["text"]]}}
"""


def test_rows_are_made_anew_when_the_code_that_makes_them_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (tmp_path / "lengths_of_texts.py").write_text(CODE.format(more=0))
    module = importlib.import_module("lengths_of_texts")
    rows = Dataset.from_dict({"text": ["a", "abc"]})
    encoder = module.Encoder()
    assert list(cached_tokens(rows, encoder.encode, encoder, [])["length"]) == [1, 3]
    (tmp_path / "lengths_of_texts.py").write_text(CODE.format(more=10))
    encoder = importlib.reload(module).Encoder()
    assert list(cached_tokens(rows, encoder.encode, encoder, [])["length"]) == [11, 13]
