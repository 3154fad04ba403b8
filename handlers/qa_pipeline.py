"""Extractive question answering: one row a window of the context.

QuestionAnsweringPipeline.load(Path("runs/qa/export")).predict([{"question": "Who …?", "context": "…"}])
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handlers.base_pipeline import MODEL_FILE, EncodedInstance, Outputs, Pipeline
from handlers.onnx_model import OnnxModel, TokenLogits
from handlers.settings import HandlerSettings
from handlers.text.question_request import QuestionInstance, parse_question
from handlers.text.request import Request
from handlers.text.spans import Span, best_spans, extended
from handlers.text.tokenization import CHARACTERS_PER_TOKEN
from handlers.text.windows import Tokens, Window, WindowEncoder

# Padded tokens and rows of one micro-batch: a window alone keeps a core busy, short ones are put together.
TOKEN_BUDGET = 256
MAX_ROWS = 16
MAX_WINDOWS = 64
OUTPUTS = ["end_logits", "start_logits"]

WindowLogits = list[NDArray[np.float32]]


@dataclass(frozen=True)
class QuestionAnsweringSettings(HandlerSettings):
    """`max_windows` bounds the windows of one question: a longer context is cut."""

    max_windows: int


@dataclass(frozen=True)
class QuestionAnsweringPipeline(Pipeline[QuestionInstance, Window, WindowLogits]):
    """`n_best` spans at most are listed, of `max_answer_tokens` tokens at most."""

    settings: ClassVar[type[HandlerSettings]] = QuestionAnsweringSettings

    encoder: WindowEncoder
    max_windows: int
    n_best: int
    max_answer_tokens: int

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        model_file: str = MODEL_FILE,
        threads: int = 1,
        token_budget: int = TOKEN_BUDGET,
        max_rows: int = MAX_ROWS,
        max_windows: int = MAX_WINDOWS,
    ) -> QuestionAnsweringPipeline:
        """Reads an exported (or unpacked) model folder and runs it once per shape.

        Raises `FileNotFoundError` for a missing file, `ValueError` where the model is of another task.
        """
        metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        lengths = [metadata[name] for name in ("max_length", "doc_stride", "max_question_length")]
        pipeline = cls(
            OnnxModel(folder / model_file, threads),
            token_budget,
            max_rows,
            WindowEncoder((folder / "tokenizer.json").read_text(encoding="utf-8"), *lengths),
            max_windows,
            metadata["n_best"],
            metadata["max_answer_tokens"],
        )
        if sorted(pipeline.model.outputs) != OUTPUTS:
            raise ValueError(f"the model's outputs are {pipeline.model.outputs}, expected {OUTPUTS}: export it again")
        pipeline.warm_up(sorted({min(length, lengths[0]) for length in (64, 160, lengths[0])}))
        return pipeline

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

    def _encoded(self, instances: Sequence[QuestionInstance]) -> list[EncodedInstance[QuestionInstance, Window]]:
        questions = self._tokens([one.question for one in instances], self.encoder.max_question_length)
        contexts = self._tokens([one.context for one in instances], self.max_context_tokens)
        return [self._windows(one, questions[one.question], contexts[one.context]) for one in instances]

    def _tokens(self, texts: Sequence[str], most: int) -> dict[str, tuple[Tokens, bool]]:
        """The first `most` tokens of each different text, and whether there is more of it.

        Characters are cut before, so that a megabyte costs no more than what is kept of it.
        """
        different = list(dict.fromkeys(texts))
        characters = most * CHARACTERS_PER_TOKEN
        tokenised = self.encoder.tokenise([text[:characters] for text in different])
        return {
            text: (
                Tokens(tokens.ids[:most], tokens.offsets[:most]),
                len(tokens.ids) > most or len(text) > characters,
            )
            for text, tokens in zip(different, tokenised, strict=True)
        }

    def _windows(
        self, instance: QuestionInstance, question: tuple[Tokens, bool], context: tuple[Tokens, bool]
    ) -> EncodedInstance[QuestionInstance, Window]:
        windows = self.encoder.windows(question[0], context[0])
        truncated = question[1] or context[1] or len(windows) > self.max_windows
        return EncodedInstance(instance, windows[: self.max_windows], truncated)

    def logits(self, rows: Sequence[Sequence[int]]) -> tuple[TokenLogits, int]:
        return self.model.run_tokens(rows, self.token_budget, self.max_rows)

    def _answers(self, outputs: Outputs[QuestionInstance, Window, WindowLogits]) -> list[dict[str, Any]]:
        starts, ends = (iter(outputs.logits[name]) for name in ("start_logits", "end_logits"))
        return [
            self._answer(encoded, [next(starts) for _ in encoded.rows], [next(ends) for _ in encoded.rows])
            for encoded in outputs.batch.instances
        ]

    def _answer(
        self, encoded: EncodedInstance[QuestionInstance, Window], starts: WindowLogits, ends: WindowLogits
    ) -> dict[str, Any]:
        limits = {"n_best": self.n_best, "max_answer_tokens": self.max_answer_tokens}
        found = best_spans(encoded.rows, starts, ends, **limits)
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
    # Once for each end: a context may have a million marks behind one character.
    ends = {end: extended(context, end) for end in {span.end for span in spans}}
    ranking: dict[str, dict[str, Any]] = {}
    for span in spans:
        start, end = span.start, ends[span.end]
        answer = context[start:end]
        ranking.setdefault(answer, {"answer": answer, "score": round(span.score, 6), "start": start, "end": end})
        if len(ranking) == wanted:
            break
    return list(ranking.values())
