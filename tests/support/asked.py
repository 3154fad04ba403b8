"""Ask a tiny pipeline questions, draw texts in any Unicode, and check what holds for every answer."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from handlers.pipelines.question_answering import QuestionAnsweringPipeline
from tests.support.tiny_export import SENTENCES

Request = dict[str, Any]


def ask(pipeline: QuestionAnsweringPipeline, question: str, context: str, **options: Any) -> dict[str, Any]:
    return pipeline.predict([{"question": question, "context": context, **options}])[0]


def windows_of(pipeline: QuestionAnsweringPipeline, request: Request) -> int:
    return len(pipeline.encode(pipeline.parse(request)).rows)


def assert_consistent(answer: dict[str, Any], context: str) -> None:
    """Assert what holds for every answer without a threshold."""
    ranking = answer["top_k"]
    for one in [answer, *ranking]:
        assert context[one["start"] : one["end"]] == one["answer"]
        assert 0 <= one["score"] <= 1
    assert 0 <= answer["no_answer_score"] <= 1
    assert sum(one["score"] for one in ranking) + answer["no_answer_score"] <= 1 + 1e-4
    assert [one["score"] for one in ranking] == sorted((one["score"] for one in ranking), reverse=True)
    assert len({one["answer"] for one in ranking}) == len(ranking)
    if ranking:
        assert ranking[0].items() <= answer.items()
    else:
        assert (answer["answer"], answer["score"]) == ("", answer["no_answer_score"])


# Texts with combining marks, emoji of several code points, right to left, line ends, and dropped characters.
PIECES = [
    "e\u0301",
    "👩\u200d🚀",
    "🏳️\u200d🌈",
    "🇦🇺",
    "שָׁלוֹם",
    "مرحبا",
    "\r\n",
    "\0",
    "\ufeff",
    "ﬁ",
    "İ",
    "각",
    "각",
    "漢字",
    "\u200d",
    "x" * 150,
]
CHARACTERS = st.characters(exclude_categories=("Cs",))
WORDS = st.sampled_from([word for sentence in SENTENCES for word in sentence.split()])
TEXTS = st.lists(WORDS | st.sampled_from(PIECES) | st.text(CHARACTERS, max_size=3), min_size=1, max_size=60).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda between: between.join(parts))
)
GOOD_TEXTS = TEXTS.filter(lambda text: not text.isspace() and text != "")
