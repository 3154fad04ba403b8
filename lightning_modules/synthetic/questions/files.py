"""The generator's settings, as they stand in a YAML file, and the files it writes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_modules.errors import UserError
from lightning_modules.synthetic.questions.generate import generate
from lightning_modules.synthetic.questions.passage import Passage
from lightning_modules.text_files import write_if_changed


@dataclass(frozen=True)
class SyntheticQuestions:
    """Settings of the generated questions: same settings, same bytes.

    Args:
        folder: where train.json, val.json and test.json are written.
        passages: of the training part, with three to six questions each.
        seed: of every draw.
        val_passages: of the validation part.
        test_passages: of the test part.
        long_share: share of the passages, 0 to 1, that stand among others in a context longer than 384 tokens.
    """

    folder: str = "data/qa"
    passages: int = 330
    seed: int = 0
    val_passages: int = 50
    test_passages: int = 90
    long_share: float = 0.03

    def __post_init__(self) -> None:
        if min(self.passages, self.val_passages, self.test_passages) < 1 or not 0 <= self.long_share <= 1:
            raise UserError(
                f"the generator was given passages {self.passages}, val_passages {self.val_passages}, "
                f"test_passages {self.test_passages} and long_share {self.long_share}: "
                "give 1 or more of each, and a share from 0 to 1"
            )

    def write(self) -> dict[str, str]:
        """Writes the three files and returns their paths by part."""
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        counts = {"train": self.passages, "val": self.val_passages, "test": self.test_passages}
        paths = {}
        for part, passages in generate(counts, self.seed, self.long_share).items():
            path = Path(self.folder) / f"{part}.json"
            write_if_changed(path, json.dumps(as_squad(passages), ensure_ascii=False) + "\n")
            paths[part] = str(path)
        return paths


def as_squad(passages: list[Passage]) -> dict[str, Any]:
    """SQuAD's nested JSON: an article of one paragraph for each passage."""
    return {
        "version": "1.1",
        "data": [
            {
                "title": passage.title,
                "paragraphs": [
                    {
                        "context": passage.context,
                        "qas": [
                            {
                                "id": question.id,
                                "question": question.text,
                                "answers": [{"text": question.answer, "answer_start": question.answer_start}],
                            }
                            for question in passage.questions
                        ],
                    }
                ],
            }
            for passage in passages
        ],
    }
