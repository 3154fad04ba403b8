"""What the pipelines of all tasks share: encode (texts to rows of token ids), run (to logits), decode (to answers)."""

from __future__ import annotations

import json
import math
import time
import timeit
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from handlers.model import Model, OnnxModel
from handlers.request import Request
from handlers.request.errors import MAX_ANSWER_BYTES, RequestError, answer_too_large, too_many_rows
from handlers.request.payload import Payload
from handlers.settings import HandlerSettings
from handlers.text.packing import Limits

MODEL_FILE = "model_int8.onnx"
FP32_FILE = "model.onnx"
GPU_FILE = "model_fp16.pt2"
# Enough rows to keep a core's arithmetic busy, no more tokens than stay in its cache; a run costs as much as 8 tokens.
LIMITS = Limits(tokens=256, rows=16, padding=8)


class Row(Protocol):
    """What the model runs at once: token ids with special tokens, without padding."""

    @property
    def ids(self) -> list[int]: ...


Instance = TypeVar("Instance")
AnyRow = TypeVar("AnyRow", bound=Row)
AnyLogits = TypeVar("AnyLogits")
AnyPipeline = TypeVar("AnyPipeline", bound="Pipeline[Any, Any, Any]")


@dataclass(frozen=True)
class EncodedInstance(Generic[Instance, AnyRow]):
    """`truncated` where a part of the instance's texts is in none of its rows."""

    instance: Instance
    rows: list[AnyRow]
    truncated: bool


@dataclass(frozen=True)
class EncodedRequest(Generic[Instance, AnyRow]):
    """`many` is that of the request."""

    instances: list[EncodedInstance[Instance, AnyRow]]
    many: bool

    @property
    def rows(self) -> list[AnyRow]:
        """The rows of all instances, one after the other."""
        return [row for instance in self.instances for row in instance.rows]

    @property
    def tokens(self) -> int:
        """Tokens of all rows, without padding."""
        return sum(len(row.ids) for row in self.rows)


@dataclass(frozen=True)
class EncodedBatch(Generic[Instance, AnyRow]):
    requests: list[EncodedRequest[Instance, AnyRow]]

    @property
    def instances(self) -> list[EncodedInstance[Instance, AnyRow]]:
        """The instances of all requests, one after the other."""
        return [instance for request in self.requests for instance in request.instances]

    @property
    def rows(self) -> list[AnyRow]:
        """The rows of all instances, one after the other."""
        return [row for request in self.requests for row in request.rows]

    @property
    def tokens(self) -> int:
        """Tokens of all rows, without padding."""
        return sum(request.tokens for request in self.requests)


@dataclass(frozen=True)
class Outputs(Generic[Instance, AnyRow, AnyLogits]):
    """Logits by output name, in the order of the batch's rows, and the tokens run for them, padding included."""

    batch: EncodedBatch[Instance, AnyRow]
    logits: dict[str, AnyLogits]
    padded_tokens: int


@dataclass(frozen=True)
class Pipeline(ABC, Generic[Instance, AnyRow, AnyLogits]):
    """A subclass says how one task parses, encodes, runs and decodes.

    Its own fields come from `read`, or are settings that `settings` reads from model-config.yaml, with a default.
    """

    settings: ClassVar[type[HandlerSettings]] = HandlerSettings
    # Tokens of the rows that a new pipeline is run with on a CPU, beside the longest that it takes.
    usual_lengths: ClassVar[tuple[int, ...]]

    model: Model
    limits: Limits

    @classmethod
    def load(
        cls: type[AnyPipeline],
        folder: Path,
        *,
        model_file: str = MODEL_FILE,
        threads: int = 1,
        limits: Limits = LIMITS,
        device: str | None = None,
        **own: int,
    ) -> AnyPipeline:
        """Reads an exported (or unpacked) model folder and runs it once per shape; `own`: settings of the task.

        With a `device` as torch names it, model_fp16.pt2 is run on it, in micro-batches of a GPU's size: `model_file`,
        `threads` and `limits` are those of the CPU.

        Raises `FileNotFoundError` for a missing file, `ValueError` where the files do not fit the model.
        """
        metadata = read_json(folder / "metadata.json")
        fields: dict[str, Any] = {**cls.read(folder, metadata), **own}
        longest = metadata["max_length"]
        if device is None:
            pipeline = cls(OnnxModel(folder / model_file, threads), limits, **fields)
            lengths: Iterable[int] = cls.usual_lengths
        else:
            from handlers import torch_model

            model = torch_model.TorchModel(folder / GPU_FILE, device, longest)
            pipeline = cls(model, torch_model.LIMITS, **fields)
            lengths = range(torch_model.STEP, longest, torch_model.STEP)
        pipeline.check(pipeline.warm_up(sorted({min(length, longest) for length in (*lengths, longest)})))
        return pipeline

    @staticmethod
    @abstractmethod
    def read(folder: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """The subclass's fields from the files of a model folder and the content of its metadata.json."""

    @abstractmethod
    def check(self, logits: Mapping[str, AnyLogits]) -> None:
        """Raises `ValueError` where a run's logits do not fit what was read."""

    @staticmethod
    @abstractmethod
    def parse(payload: Payload) -> Request[Instance]:
        """Checks a payload. Raises `RequestError`."""

    def least_rows(self, request: Request[Instance]) -> int:
        """The rows that a request counts for before it is tokenised."""
        return len(request.instances)

    def encode(self, requests: Sequence[Request[Instance]]) -> EncodedBatch[Instance, AnyRow]:
        """Tokenises every text of a request once."""
        return EncodedBatch([self.encode_request(request) for request in requests])

    def encode_request(
        self, request: Request[Instance], most_rows: float = math.inf
    ) -> EncodedRequest[Instance, AnyRow]:
        """Raises `RequestError` as soon as there are more than `most_rows` rows: what is left is not tokenised."""
        instances, rows = [], 0
        for encoded in self._encoded(request.instances):
            rows += len(encoded.rows)
            if rows > most_rows:
                raise too_many_rows(int(most_rows))
            instances.append(encoded)
        return EncodedRequest(instances, request.many)

    def run(self, batch: EncodedBatch[Instance, AnyRow]) -> Outputs[Instance, AnyRow, AnyLogits]:
        """Runs the rows in micro-batches of similar lengths; the logits come back in the order of the rows."""
        return Outputs(batch, *self.logits([row.ids for row in batch.rows]))

    def decode(self, outputs: Outputs[Instance, AnyRow, AnyLogits]) -> Iterator[dict[str, Any] | RequestError]:
        """One answer a request, in order, made when it is asked for; an error where it is too large to be sent."""
        answers = self._answers(outputs)
        for request in outputs.batch.requests:
            kept, characters = [], 0
            for answer in islice(answers, len(request.instances)):
                characters += self.characters(answer)
                if characters <= MAX_ANSWER_BYTES:  # the others are let go: together they may fill the memory
                    kept.append(answer)
            if characters > MAX_ANSWER_BYTES:
                yield answer_too_large()
            else:
                yield {"predictions": kept} if request.many else kept[0]

    @abstractmethod
    def characters(self, answer: Mapping[str, Any]) -> int:
        """Of one instance's answer, those that there may be any number of; no more than it has as JSON."""

    def predict(self, payloads: Sequence[Payload]) -> list[dict[str, Any]]:
        """The three steps in order, for requests as clients send them; raises the first wrong one's `RequestError`."""
        if not payloads:
            return []
        answers = []
        for answer in self.decode(self.run(self.encode([self.parse(payload) for payload in payloads]))):
            if isinstance(answer, RequestError):
                raise answer
            answers.append(answer)
        return answers

    def warm_up(self, lengths: Sequence[int]) -> dict[str, AnyLogits]:
        """Runs rows of these lengths, single and in full micro-batches, so that the first client does not pay for it.

        Returns the last one's logits.
        """
        for length in lengths:
            for rows in (1, self._fitting(length)):
                logits, _ = self.logits([[1] * length] * rows)
        return logits

    def tokens_in(self, seconds: float, length: int) -> int:
        """How many tokens are run in that time, at least one row; by full micro-batches of rows of `length` tokens."""
        rows = [[1] * length] * self._fitting(length)
        # Of this thread alone: other workers are loaded at the same time, and take the cores from each other.
        least = min(timeit.repeat(lambda: self.logits(rows), timer=time.thread_time, number=1, repeat=3))
        return max(length, int(seconds / least * len(rows) * length))

    def _fitting(self, length: int) -> int:
        """Rows of `length` tokens in a full micro-batch."""
        return max(1, min(self.limits.rows, self.limits.tokens // length))

    @abstractmethod
    def _encoded(self, instances: Sequence[Instance]) -> Iterable[EncodedInstance[Instance, AnyRow]]:
        """In the order of the instances; a generator where one instance may make many rows."""

    @abstractmethod
    def logits(self, rows: Sequence[Sequence[int]]) -> tuple[dict[str, AnyLogits], int]:
        """By output name, in the order of the rows, and the tokens run for them, padding included."""

    @abstractmethod
    def _answers(self, outputs: Outputs[Instance, AnyRow, AnyLogits]) -> Iterator[dict[str, Any]]:
        """One an instance, in order, made when it is asked for."""


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_tokenizer(folder: Path) -> str:
    """The text of a model folder's tokenizer.json."""
    return (folder / "tokenizer.json").read_text(encoding="utf-8")
