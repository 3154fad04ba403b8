"""Write questions to a file and read them as a data module."""

import json
from pathlib import Path
from typing import Any

from lightning_modules.data.questions import QuestionData

PLACES = ["paris", "oslo", "rome", "lima", "cairo", "quito"]


def write_squad(path: Path, articles: int = 6, words: int = 8) -> Path:
    """Write the official format: an article for each place, with one paragraph and two questions."""
    data = []
    for i in range(articles):
        place = PLACES[i % len(PLACES)]
        context = f"{place} lies by the river {i}. " + "it is the capital of a country. " * words
        qas = [
            {"id": f"{i}-{n}", "question": question, "answers": [{"text": text, "answer_start": context.index(text)}]}
            for n, (question, text) in enumerate([("which place is it?", place), ("what is it?", "the capital")])
        ]
        data.append({"title": f"place {i}", "paragraphs": [{"context": context, "qas": qas}]})
    path.write_text(json.dumps({"version": "1.1", "data": data}))
    return path


def question_data(tmp_path: Path, backbone: Path, **more: Any) -> QuestionData:
    lengths = {"max_length": 32, "doc_stride": 8, "max_question_length": 10}
    file = str(write_squad(tmp_path / "squad.json"))
    return QuestionData(**{"train_file": file, "backbone": str(backbone), **lengths, **more})
