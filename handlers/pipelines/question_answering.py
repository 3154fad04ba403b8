"""Answer questions with words from their contexts; each window of a context makes one row.

QuestionAnsweringPipeline.load(Path("runs/qa/export")).predict([{"question": "Who …?", "context": "…"}])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from handlers.model import Logits
from handlers.pipelines.base import EncodedInstance, Pipeline, read_tokenizer
from handlers.request import (
    DEFAULT_TOP_K,
    Payload,
    Request,
    RequestError,
    check_alone,
    check_known,
    checked_text,
    optional_share,
    optional_top_k,
    required_instances,
    required_list,
    required_text,
)
from handlers.settings import HandlerSettings
from handlers.text.spans import Floats, Span, answer_range, best_spans
from handlers.text.tokenization import CHARACTERS_PER_TOKEN
from handlers.text.windows import Window, WindowTokenizer

OUTPUTS = ["end_logits", "start_logits"]
FIELDS = ("question", "context", "questions", "instances", "top_k", "no_answer_threshold")
INSTANCE_FIELDS = ("question", "context", "top_k", "no_answer_threshold")
HOW_TO_ASK = 'send a JSON object such as {"question": "…", "context": "…"} as \'Content-Type: application/json\''


@dataclass(frozen=True)
class Options:
    """The number of answers to list, and the no-answer score above which the answer is empty."""

    top_k: int = DEFAULT_TOP_K
    no_answer_threshold: float | None = None


@dataclass(frozen=True)
class QuestionInstance:
    """A question, and the context in which to look for its answer."""

    question: str
    context: str
    options: Options


@dataclass(frozen=True)
class EncodedQuestion(EncodedInstance):
    """One row for each window; `truncated` is true if the end of the question or context is in no window."""

    windows: list[Window]
    instance: QuestionInstance
    truncated: bool


@dataclass(frozen=True)
class QuestionAnsweringSettings(HandlerSettings):
    """Add `max_windows`, the limit of windows for one question; a longer context is cut."""

    max_windows: int


@dataclass(frozen=True)
class QuestionAnsweringPipeline(Pipeline):
    """The pipeline of a question answering model.

    It lists at most `n_best` spans of at most `max_answer_tokens` tokens; `best_spans` explains `temperature`.
    """

    settings_class: ClassVar[type[HandlerSettings]] = QuestionAnsweringSettings
    warm_up_lengths: ClassVar[tuple[int, ...]] = (64, 160)
    per_token: ClassVar[bool] = True

    tokenizer: WindowTokenizer
    n_best: int
    max_answer_tokens: int
    temperature: float
    max_windows: int = 64

    @staticmethod
    def read_fields(folder: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
        lengths = [metadata[name] for name in ("max_length", "doc_stride", "max_question_length")]
        return {
            "tokenizer": WindowTokenizer(read_tokenizer(folder), *lengths),
            "n_best": metadata["n_best"],
            "max_answer_tokens": metadata["max_answer_tokens"],
            "temperature": metadata.get("temperature", 1.0),  # older exports, made without fitting it, have none
        }

    def check_outputs(self, logits: Logits) -> None:
        if sorted(logits) != OUTPUTS:
            raise ValueError(f"the model's outputs are {list(logits)}, expected {OUTPUTS}: export it again")

    @staticmethod
    def parse(payload: Payload) -> Request[QuestionInstance]:
        """Check a question on a context, several `questions` on one context, or several `instances`.

        Options beside `instances` are the defaults of each instance.
        """
        if isinstance(payload, str):
            raise RequestError(400, "wrong_type", f"the body is a bare text, without a question on it: {HOW_TO_ASK}")
        check_known(payload, FIELDS)
        options = _options(payload, Options())
        if "instances" in payload:
            check_alone(payload, "instances", ("question", "questions", "context"))
            instances = []
            for i, fields in enumerate(required_instances(payload)):
                prefix = f"instances[{i}]."
                check_known(fields, INSTANCE_FIELDS, prefix)
                instances.append(_instance(fields, _options(fields, options, prefix), prefix))
            return Request(instances, many=True)
        if "questions" in payload:
            check_alone(payload, "questions", ("question",))
            context = required_text(payload, "context")
            texts = enumerate(required_list(payload, "questions", "strings"))
            questions = [checked_text(text, f"questions[{i}]") for i, text in texts]
            return Request([QuestionInstance(question, context, options) for question in questions], many=True)
        return Request([_instance(payload, options)], many=False)

    @property
    def max_context_tokens(self) -> int:
        """A number of tokens that exceeds what `max_windows` windows hold, whatever the question."""
        return self.tokenizer.max_length + self.max_windows * (self.tokenizer.max_length - self.tokenizer.doc_stride)

    def estimate_rows(self, request: Request[QuestionInstance]) -> int:
        """Count one row for each instance, and more for contexts so long that tokenizing alone takes a while."""
        longest = self.max_context_tokens * CHARACTERS_PER_TOKEN
        window = self.tokenizer.max_length * CHARACTERS_PER_TOKEN
        return sum(1 + min(len(instance.context), longest) // window for instance in request.instances)

    def encode_instances(self, instances: Sequence[QuestionInstance]) -> Iterator[EncodedQuestion]:
        first_tokens = cache(self.tokenizer.first_tokens)
        for instance in instances:
            question, question_cut = first_tokens(instance.question, self.tokenizer.max_question_length)
            context, context_cut = first_tokens(instance.context, self.max_context_tokens)
            windows = self.tokenizer.windows(question, context)
            truncated = question_cut or context_cut or len(windows) > self.max_windows
            windows = windows[: self.max_windows]
            yield EncodedQuestion([window.ids for window in windows], windows, instance, truncated)

    def decode_instances(self, instances: Sequence[EncodedQuestion], logits: Logits) -> Iterator[dict[str, Any]]:
        first = 0
        for instance in instances:
            last = first + len(instance.rows)
            yield self._answer(instance, *(list(logits[name][first:last]) for name in ("start_logits", "end_logits")))
            first = last

    def _answer(self, encoded: EncodedQuestion, start_logits: list[Floats], end_logits: list[Floats]) -> dict[str, Any]:
        best = best_spans(
            encoded.windows,
            start_logits,
            end_logits,
            n_best=self.n_best,
            max_answer_tokens=self.max_answer_tokens,
            temperature=self.temperature,
        )
        options = encoded.instance.options
        ranking = _ranking(encoded.instance.context, best.spans, options.top_k)
        no_answer_score = round(best.no_answer_score, 6)
        first = {"answer": "", "score": no_answer_score, "start": 0, "end": 0}
        threshold = options.no_answer_threshold
        if ranking and (threshold is None or no_answer_score <= threshold):
            first = ranking[0]
        answer = {**first, "top_k": ranking, "no_answer_score": no_answer_score}
        return answer | {"truncated": True} if encoded.truncated else answer

    def min_json_length(self, answer: Mapping[str, Any]) -> int:
        return sum(len(entry["answer"]) for entry in answer["top_k"])


def _instance(fields: Mapping[str, Any], options: Options, prefix: str = "") -> QuestionInstance:
    question, context = (required_text(fields, name, prefix) for name in ("question", "context"))
    return QuestionInstance(question, context, options)


def _options(fields: Mapping[str, Any], default: Options, prefix: str = "") -> Options:
    return Options(
        optional_top_k(fields, default.top_k, prefix),
        optional_share(fields, "no_answer_threshold", default.no_answer_threshold, prefix),
    )


def _ranking(context: str, spans: Sequence[Span], count: int) -> list[dict[str, Any]]:
    """Return the `count` best answers, scores rounded to six places; the same words are listed only once."""
    ranking: dict[str, dict[str, Any]] = {}
    for span in spans:
        start, end = answer_range(context, span)
        answer = context[start:end]
        ranking.setdefault(answer, {"answer": answer, "score": round(span.score, 6), "start": start, "end": end})
        if len(ranking) == count:
            break
    return list(ranking.values())
