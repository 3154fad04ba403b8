"""Answer requests of one task: encode (texts to rows of token ids), run (rows to logits), decode (logits to answers).

A pipeline does not depend on TorchServe: `Pipeline.load(folder).predict(payloads)` works in any Python process.
"""

from __future__ import annotations

import json
import math
import time
import timeit
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from handlers.model import Limits, Logits, Model, OnnxModel, Rows
from handlers.request import MAX_ANSWER_BYTES, Payload, Request, RequestError, answer_too_large, too_many_rows
from handlers.settings import HandlerSettings

MODEL_FILE = "model_int8.onnx"
FP32_FILE = "model.onnx"
GPU_FILE = "model_fp16.pt2"
# Limits of a micro-batch on a CPU: enough rows to keep a core's arithmetic units busy, and few enough tokens to stay in
# its cache. Starting a run costs about as much as 8 tokens, hence the limit of padding.
LIMITS = Limits(tokens=256, rows=16, padding=8)

AnyPipeline = TypeVar("AnyPipeline", bound="Pipeline")


@dataclass(frozen=True)
class EncodedInstance:
    """One instance as token ids, with special tokens and without padding; subclasses add what decoding needs."""

    rows: list[list[int]]


@dataclass(frozen=True)
class EncodedRequest:
    """The encoded instances of a request; `many` has the same meaning as in `Request`."""

    instances: list[Any]  # all of the same subclass of EncodedInstance
    many: bool

    @cached_property
    def rows(self) -> list[list[int]]:
        """The rows of all instances, one after the other."""
        return [row for instance in self.instances for row in instance.rows]

    @cached_property
    def tokens(self) -> int:
        """The number of tokens in all rows together, without padding."""
        return sum(map(len, self.rows))


@dataclass(frozen=True)
class Pipeline(ABC):
    """The base class of the pipelines: a subclass parses, encodes and decodes the requests of one task.

    The subclass's own fields are read from the model folder by `read_fields`, or are settings of `settings_class` and
    then have a default.
    """

    settings_class: ClassVar[type[HandlerSettings]] = HandlerSettings
    # Row lengths, in tokens, that a new pipeline runs once on a CPU to warm up, besides the longest row it accepts.
    warm_up_lengths: ClassVar[tuple[int, ...]]
    # True if the logits are [rows, tokens] instead of [rows, classes], see `Model.run`.
    per_token: ClassVar[bool] = False

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
        **task_settings: int,
    ) -> AnyPipeline:
        """Load an exported (or unpacked) model folder, and run rows of several lengths so that no client waits for it.

        With a `device`, named as in torch, model_fp16.pt2 runs on it in larger micro-batches; `model_file`, `threads`
        and `limits` apply to the CPU only.

        Raises `FileNotFoundError` for a missing file, and `ValueError` if the files do not fit together.
        """
        metadata = read_json(folder / "metadata.json")
        fields: dict[str, Any] = {**cls.read_fields(folder, metadata), **task_settings}
        longest = metadata["max_length"]
        if device is None:
            pipeline = cls(OnnxModel(folder / model_file, threads), limits, **fields)
            lengths: Iterable[int] = cls.warm_up_lengths
        else:
            from handlers import torch_model

            model = torch_model.TorchModel(folder / GPU_FILE, device, longest)
            pipeline = cls(model, torch_model.LIMITS, **fields)
            lengths = range(torch_model.STEP, longest, torch_model.STEP)
        for length in sorted({min(length, longest) for length in (*lengths, longest)}):
            for count in (1, pipeline._full_batch(length)):
                logits, _ = pipeline.run([[1] * length] * count)
        pipeline.check_outputs(logits)
        return pipeline

    @staticmethod
    @abstractmethod
    def read_fields(folder: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Read the subclass's fields from the files of a model folder and the content of its metadata.json."""

    @abstractmethod
    def check_outputs(self, logits: Logits) -> None:
        """Raise `ValueError` if the logits of a run do not fit the fields that were read."""

    @staticmethod
    @abstractmethod
    def parse(payload: Payload) -> Request[Any]:
        """Check a payload and return it as a request. Raises `RequestError`."""

    def estimate_rows(self, request: Request[Any]) -> int:
        """Return the number of rows that a request is assumed to make, before it is tokenized."""
        return len(request.instances)

    def encode(self, request: Request[Any], max_rows: float = math.inf) -> EncodedRequest:
        """Tokenize every text of a request once.

        Raises `RequestError` as soon as there are more than `max_rows` rows, and leaves the other texts untokenized.
        """
        instances: list[EncodedInstance] = []
        rows = 0
        for instance in self.encode_instances(request.instances):
            rows += len(instance.rows)
            if rows > max_rows:
                raise too_many_rows(int(max_rows))
            instances.append(instance)
        return EncodedRequest(instances, request.many)

    @abstractmethod
    def encode_instances(self, instances: Sequence[Any]) -> Iterable[EncodedInstance]:
        """Encode the instances in order. Where one instance may make many rows, this is a generator."""

    def run(self, rows: Rows) -> tuple[Logits, int]:
        """Return the logits in the order of the rows, and the number of tokens that were run, see `Model.run`."""
        return self.model.run(rows, self.limits, per_token=self.per_token)

    def decode(self, requests: Sequence[EncodedRequest], logits: Logits) -> Iterator[dict[str, Any] | RequestError]:
        """Yield the answer to each request in order, or an error if it is too large to send.

        Answers are made lazily, one at a time. `logits` holds those of all rows of the requests.
        """
        answers = self.decode_instances([instance for request in requests for instance in request.instances], logits)
        for request in requests:
            predictions, length = [], 0
            for answer in islice(answers, len(request.instances)):
                length += self.min_json_length(answer)
                if length <= MAX_ANSWER_BYTES:  # beyond that they are dropped: together they may fill the memory
                    predictions.append(answer)
            if length > MAX_ANSWER_BYTES:
                yield answer_too_large()
            else:
                yield {"predictions": predictions} if request.many else predictions[0]

    @abstractmethod
    def decode_instances(self, instances: Sequence[Any], logits: Logits) -> Iterator[dict[str, Any]]:
        """Yield the answer to each instance in order; answers are made lazily, one at a time."""

    @abstractmethod
    def min_json_length(self, answer: Mapping[str, Any]) -> int:
        """Return a cheap lower bound, from the longest lists, of the length of an instance's answer as JSON."""

    def predict(self, payloads: Sequence[Payload]) -> list[dict[str, Any]]:
        """Answer requests as clients send them. Raises the `RequestError` of the first bad one."""
        if not payloads:
            return []
        requests = [self.encode(self.parse(payload)) for payload in payloads]
        logits, _ = self.run([row for request in requests for row in request.rows])
        answers = []
        for answer in self.decode(requests, logits):
            if isinstance(answer, RequestError):
                raise answer
            answers.append(answer)
        return answers

    def measure_capacity(self, seconds: float, length: int) -> int:
        """Return how many tokens, one row or more, run in `seconds`; it times full micro-batches of `length` tokens."""
        rows = [[1] * length] * self._full_batch(length)
        # Only this thread's processor time counts: other workers load at the same time and compete for the cores.
        fastest = min(timeit.repeat(lambda: self.run(rows), timer=time.thread_time, number=1, repeat=3))
        return max(length, int(seconds / fastest * len(rows) * length))

    def _full_batch(self, length: int) -> int:
        """Return the rows of `length` tokens in a full micro-batch."""
        return max(1, min(self.limits.rows, self.limits.tokens // length))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_tokenizer(folder: Path) -> str:
    """Return the text of a model folder's tokenizer.json."""
    return (folder / "tokenizer.json").read_text(encoding="utf-8")
