"""Extractive question answering: one row a window of the context.

QuestionAnsweringPipeline.load(Path("runs/qa/export")).predict([{"question": "Who …?", "context": "…"}])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handlers.model import TokenLogits
from handlers.pipelines.base import EncodedInstance, Outputs, Pipeline, read_tokenizer
from handlers.request import Request
from handlers.request.question import QuestionInstance, parse_question
from handlers.settings import HandlerSettings
from handlers.text.spans import Span, best_spans, place
from handlers.text.tokenization import CHARACTERS_PER_TOKEN
from handlers.text.windows import Tokens, Window, WindowEncoder

OUTPUTS = ["end_logits", "start_logits"]

WindowLogits = list[NDArray[np.float32]]


@dataclass(frozen=True)
class QuestionAnsweringSettings(HandlerSettings):
    """`max_windows` bounds the windows of one question: a longer context is cut."""

    max_windows: int


@dataclass(frozen=True)
class QuestionAnsweringPipeline(Pipeline[QuestionInstance, Window, WindowLogits]):
    """`n_best` spans at most are listed, of `max_answer_tokens` tokens at most; `temperature`: see `best_spans`."""

    settings: ClassVar[type[HandlerSettings]] = QuestionAnsweringSettings
    usual_lengths: ClassVar[tuple[int, ...]] = (64, 160)

    encoder: WindowEncoder
    n_best: int
    max_answer_tokens: int
    temperature: float
    max_windows: int = 64

    @staticmethod
    def read(folder: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
        lengths = [metadata[name] for name in ("max_length", "doc_stride", "max_question_length")]
        return {
            "encoder": WindowEncoder(read_tokenizer(folder), *lengths),
            "n_best": metadata["n_best"],
            "max_answer_tokens": metadata["max_answer_tokens"],
            "temperature": metadata.get("temperature", 1.0),  # folders of before it was fitted have none
        }

    def check(self, logits: Mapping[str, WindowLogits]) -> None:
        if sorted(logits) != OUTPUTS:
            raise ValueError(f"the model's outputs are {list(logits)}, expected {OUTPUTS}: export it again")

    parse = staticmethod(parse_question)

    @property
    def max_context_tokens(self) -> int:
        """More than `max_windows` windows hold, whatever the question."""
        return self.encoder.max_length + self.max_windows * (self.encoder.max_length - self.encoder.doc_stride)

    def least_rows(self, request: Request[QuestionInstance]) -> int:
        """One row an instance, more for contexts so long that tokenising alone takes its time."""
        longest = self.max_context_tokens * CHARACTERS_PER_TOKEN
        window = self.encoder.max_length * CHARACTERS_PER_TOKEN
        return sum(1 + min(len(instance.context), longest) // window for instance in request.instances)

    def _encoded(self, instances: Sequence[QuestionInstance]) -> Iterator[EncodedInstance[QuestionInstance, Window]]:
        tokens = cache(self.encoder.first_tokens)
        for one in instances:
            question = tokens(one.question, self.encoder.max_question_length)
            yield self._windows(one, question, tokens(one.context, self.max_context_tokens))

    def _windows(
        self, instance: QuestionInstance, question: tuple[Tokens, bool], context: tuple[Tokens, bool]
    ) -> EncodedInstance[QuestionInstance, Window]:
        windows = self.encoder.windows(question[0], context[0])
        truncated = question[1] or context[1] or len(windows) > self.max_windows
        return EncodedInstance(instance, windows[: self.max_windows], truncated)

    def logits(self, rows: Sequence[Sequence[int]]) -> tuple[TokenLogits, int]:
        return self.model.run_tokens(rows, self.limits)

    def characters(self, answer: Mapping[str, Any]) -> int:
        return sum(len(one["answer"]) for one in answer["top_k"])

    def _answers(self, outputs: Outputs[QuestionInstance, Window, WindowLogits]) -> Iterator[dict[str, Any]]:
        starts, ends = (iter(outputs.logits[name]) for name in ("start_logits", "end_logits"))
        for encoded in outputs.batch.instances:
            yield self._answer(encoded, [next(starts) for _ in encoded.rows], [next(ends) for _ in encoded.rows])

    def _answer(
        self, encoded: EncodedInstance[QuestionInstance, Window], starts: WindowLogits, ends: WindowLogits
    ) -> dict[str, Any]:
        found = best_spans(
            encoded.rows,
            starts,
            ends,
            n_best=self.n_best,
            max_answer_tokens=self.max_answer_tokens,
            temperature=self.temperature,
        )
        options = encoded.instance.options
        ranking = _ranked(encoded.instance.context, found.spans, options.top_k)
        no_answer_score = round(found.no_answer_score, 6)
        best = {"answer": "", "score": no_answer_score, "start": 0, "end": 0}
        threshold = options.no_answer_threshold
        if ranking and (threshold is None or no_answer_score <= threshold):
            best = ranking[0]
        answer = {**best, "top_k": ranking, "no_answer_score": no_answer_score}
        return answer | {"truncated": True} if encoded.truncated else answer


def _ranked(context: str, spans: Sequence[Span], wanted: int) -> list[dict[str, Any]]:
    """The `wanted` best answers with their scores, rounded to six places; the same words at two places are one."""
    ranking: dict[str, dict[str, Any]] = {}
    for span in spans:
        start, end = place(context, span)
        answer = context[start:end]
        ranking.setdefault(answer, {"answer": answer, "score": round(span.score, 6), "start": start, "end": end})
        if len(ranking) == wanted:
            break
    return list(ranking.values())
