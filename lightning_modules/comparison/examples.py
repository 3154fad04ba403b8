"""Read the rows that models are compared on: those of a file, or the test rows of a run."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from datasets import Dataset

from archives.reading.options import ReadOptions
from handlers.request import Payload
from lightning_modules.comparison.measurements import Quality, answer_quality, text_quality
from lightning_modules.comparison.models import Model
from lightning_modules.data.base import data_module
from lightning_modules.data.classification import ClassificationData
from lightning_modules.data.questions import QuestionData
from lightning_modules.data.sources import read_questions, read_texts
from lightning_modules.errors import UserError


@dataclass(frozen=True)
class Examples(ABC):
    """Rows to compare on: `requests` as clients would send them; `source` says where they come from."""

    source: str
    requests: Sequence[Payload]

    @abstractmethod
    def quality_of(self, folder: Path) -> Quality:
        """Return the quality of each form of an exported folder."""


@dataclass(frozen=True)
class Texts(Examples):
    """Texts to classify: `targets` are the labels of the requests, `labels` all those that the models know."""

    targets: Sequence[str]
    labels: Sequence[str]

    def quality_of(self, folder: Path) -> Quality:
        return text_quality(folder, [str(text) for text in self.requests], self.targets, self.labels)


@dataclass(frozen=True)
class Questions(Examples):
    """Questions to answer: `references` are the right answers to each request."""

    references: Sequence[Sequence[str]]

    def quality_of(self, folder: Path) -> Quality:
        return answer_quality(folder, self.requests, self.references)


def examples_of_file(file: Path, options: ReadOptions, models: Sequence[Model]) -> Examples:
    """Return the rows of a file.

    Raises:
        UserError: the file cannot be read, or has labels that the models do not know.
    """
    if models[0].task == "question-answering":
        return _questions(str(file), read_questions(file, "error", check_starts=False).rows)
    return _texts(str(file), read_texts(file, options, "error").rows, models[0])


def examples_of_run(models: Sequence[Model]) -> Examples:
    """Return the test rows of the first run among the models."""
    run = next((model for model in models if model.config is not None), None)
    if run is None or run.config is None:
        raise UserError("none of the models is a run with a config.yaml, which would name test rows: give --file")
    settings = yaml.safe_load(run.config.read_text(encoding="utf-8"))
    data, source = data_module(settings["data"]), f"test rows of {run.name}"
    if isinstance(data, ClassificationData):
        return _texts(source, data.splits["test"].rows, models[0])
    if isinstance(data, QuestionData):
        return _questions(source, data.splits["test"].rows)
    raise UserError(f"{run.config}: {type(data).__name__} has no test rows to compare on: give --file")


def _texts(source: str, rows: Dataset, model: Model) -> Texts:
    unknown = sorted(set(rows["label"][:]) - set(model.labels))
    if unknown:
        raise UserError(f"{source}: labels that the models do not know: {', '.join(unknown[:5])}")
    return Texts(source, rows["text"][:], rows["label"][:], sorted(model.labels))


def _questions(source: str, rows: Dataset) -> Questions:
    requests: list[Payload] = [{"question": row["question"], "context": row["context"]} for row in rows]
    return Questions(source, requests, [row["answers"]["text"] for row in rows])
