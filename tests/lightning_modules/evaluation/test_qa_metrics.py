"""Measure question answering, and sort its errors into kinds."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives.reading.questions import question_rows
from archives.squad_metric import evaluate
from lightning_modules.data.sources import read_questions as read_official
from lightning_modules.errors import UserError
from lightning_modules.evaluation.qa_errors import error_kind, errors_by_kind, excerpt
from lightning_modules.evaluation.qa_metrics import Answered, answer_calibration, qa_metrics, write_predictions

CONTEXT = "Dr. Ada B. Stone moved to Paris in 1973. She met Pierre there! In 1980 (aged 42.) She left Paris for Rome."


def answered(
    answer: str,
    *references: str,
    question: str = "Where?",
    context: str = CONTEXT,
    score: float = 0.5,
    id: str = "q",
    start: int | None = None,
) -> Answered:
    start = context.index(answer) if start is None else start
    return Answered(id, question, context, references or ("Paris",), answer, start, score)


@st.composite
def answers(draw: st.DrawFn) -> list[Answered]:
    """Any spans of the context as answers and as references."""

    def span() -> tuple[int, int]:
        start = draw(st.integers(0, len(CONTEXT) - 1))
        return start, draw(st.integers(start + 1, len(CONTEXT)))

    def one(i: int) -> Answered:
        (start, end), score = span(), draw(st.floats(0, 1))
        references = [CONTEXT[slice(*span())] for _ in range(draw(st.integers(1, 3)))]
        return answered(CONTEXT[start:end], *references, start=start, score=score, id=str(i))

    return [one(i) for i in range(draw(st.integers(1, 6)))]


@settings(deadline=None)  # a thousand resamples of each example
@given(answers())
def test_metrics_agree_with_each_other(ones: list[Answered]) -> None:
    metrics = qa_metrics(ones)
    assert metrics["official"] == evaluate((one.answer, one.references) for one in ones)
    for name in ("exact_match", "f1"):
        assert 100 * metrics[name] == pytest.approx(metrics["official"][name])
        low, high = metrics[f"{name}_interval"]
        assert 0 <= low <= high <= 1
        for groups in metrics["by"].values():
            weighted = sum(group["questions"] * group[name] for group in groups.values())
            assert weighted / len(ones) == pytest.approx(metrics[name])
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


@given(answers())
def test_every_wrong_answer_has_one_kind(ones: list[Answered]) -> None:
    kinds = errors_by_kind(ones)
    wrong = [one for group in kinds.values() for one in group]
    assert sorted(one.id for one in wrong) == [one.id for one in ones if not one.exact_match]
    for group in kinds.values():
        assert [one.score for one in group] == sorted((one.score for one in group), reverse=True)
    assert [len(group) for group in kinds.values()] == sorted(map(len, kinds.values()), reverse=True)


def test_the_interval_holds_the_metric_narrows_with_questions_and_is_the_same_each_time() -> None:
    ones = [answered("Paris" if i % 4 else "Rome", id=str(i)) for i in range(40)]
    metrics, more = qa_metrics(ones), qa_metrics(ones * 10)
    low, high = metrics["f1_interval"]
    assert low < metrics["f1"] == 0.75 < high
    # the standard error of a share is the root of p(1-p)/n
    assert high - low == pytest.approx(2 * 1.96 * (0.75 * 0.25 / 40) ** 0.5, rel=0.15)
    assert high - low > 2 * (more["f1_interval"][1] - more["f1_interval"][0])
    assert qa_metrics(ones) == metrics


def test_no_questions_is_an_error_a_person_can_mend() -> None:
    with pytest.raises(UserError, match="no questions to evaluate"):
        qa_metrics([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"references": ()}, "'q' has no reference"),
        ({"start": 3}, "'Paris' does not stand at 3"),
        ({"score": 1.5}, "score 1.5 is not in"),
        ({"score": float("nan")}, "score nan is not in"),
    ],
)
def test_contradictory_answers_are_refused(change: dict[str, object], message: str) -> None:
    fields = vars(answered("Paris"))
    with pytest.raises(ValueError, match=message):
        Answered(**{**fields, **change})


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("In what year did she leave?", "what"),
        ("What's her name?", "what"),
        ("To whom did she speak?", "who"),
        ("Whose friend was she?", "who"),
        ("The man who met her lived in which town?", "who"),
        ("HOW many?", "how"),
        ("Name the whole show's whereabouts.", "other"),
    ],
)
def test_questions_are_grouped_by_their_question_word(question: str, word: str) -> None:
    assert list(qa_metrics([answered("Paris", question=question)])["by"]["question_word"]) == [word]


@pytest.mark.parametrize(
    ("words", "answer", "context"),
    [
        (1, "1", "1-100"),
        (2, "2", "1-100"),
        (3, "3-5", "1-100"),
        (5, "3-5", "1-100"),
        (6, "6-10", "1-100"),
        (10, "6-10", "1-100"),
        (11, ">10", "1-100"),
        (101, ">10", "101-150"),
        (300, ">10", "201-300"),
        (301, ">10", ">300"),
    ],
)
def test_questions_are_grouped_by_words(words: int, answer: str, context: str) -> None:
    text = " ".join(["word"] * words)
    by = qa_metrics([answered("word", text, context=text)])["by"]
    assert list(by["answer_length"]) == [answer]
    assert list(by["context_length"]) == [context]


@pytest.mark.parametrize(
    ("answer", "references", "kind"),
    [
        ("Paris", ["paris"], None),
        ("to Paris in", ["Paris"], "wrong_boundary"),
        ("Par", ["Paris"], "wrong_boundary"),
        ("B. Stone", ["Ada B. Stone", "Rome"], "wrong_boundary"),
        ("Ada", ["1973"], "no_overlap"),  # "Dr." and "B." end no sentence
        ("Pierre", ["1973"], "wrong_sentence"),
        ("1980", ["Pierre"], "wrong_sentence"),
        ("1980", ["Rome", "Pierre", "aged"], "no_overlap"),
        ("Rome", ["1973", "aged 42"], "wrong_sentence"),
        ("Rome", ["1973", "Paris"], "no_overlap"),  # the second Paris is meant or not: its sentence is right
        ("", ["Paris"], "empty"),
        ("moved to Paris", ["Paris, the city"], "wrong_boundary"),  # stands nowhere: compared by words
        ("moved", ["Paris, the city"], "wrong_sentence"),
    ],
)
def test_kinds_of_errors(answer: str, references: list[str], kind: str | None) -> None:
    assert error_kind(answered(answer, *references)) == kind


def test_sentences_end_in_other_scripts_and_at_line_breaks() -> None:
    for context in ("彼はパリに住んだ。次にローマへ。", "パリ\nローマ", "باريس؟ ローマ パリ"):
        answer, reference = ("ローマ", "パリ") if "パリ" in context[:6] else ("ローマ", "باريس")
        assert error_kind(answered(answer, reference, context=context)) == "wrong_sentence"


def test_an_excerpt_marks_the_answer_and_the_nearest_reference() -> None:
    context = f"Paris. {'x' * 500} to Paris in 1973. {'y' * 500} Rome"
    pieces = excerpt(answered("Paris in", "Paris", "1973", context=context, start=context.index("Paris in")))
    assert [piece for piece in pieces if piece[1]] == [("Paris", "both"), (" in", "predicted"), ("1973", "reference")]
    assert pieces[0] == ("… ", "")
    assert pieces[-1] == (" …", "")
    assert len("".join(text for text, _ in pieces)) < 300


@given(answers())
def test_an_excerpt_shows_the_whole_answer_and_only_text_of_the_context(ones: list[Answered]) -> None:
    for one in ones:
        pieces = excerpt(one)
        assert "".join(text for text, role in pieces if role in ("predicted", "both")) == one.answer
        assert all(text in one.context for text, _ in pieces if "…" not in text)
        assert any(role in ("reference", "both") for _, role in pieces)


def test_an_excerpt_without_anything_to_mark_is_the_beginning() -> None:
    pieces = excerpt(answered("", "Vienna", context="word " * 100))
    assert pieces[0][0].startswith("word word")
    assert pieces[-1] == (" …", "")


def test_calibration_is_of_exact_matches() -> None:
    bins = answer_calibration([answered("Paris", score=0.9), answered("to Paris", score=0.9)])
    (filled,) = [b for b in bins if b]
    assert (filled.rows, filled.accuracy, filled.confidence) == (2, 0.5, pytest.approx(0.9))


def test_predictions_are_written_in_the_official_format(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.json", [answered("Paris", id="a"), answered("", id="b")])
    assert json.loads((tmp_path / "p.json").read_text(encoding="utf-8")) == {"a": "Paris", "b": ""}


def test_the_questions_asked_are_written_as_the_official_script_reads_them(tmp_path: Path) -> None:
    asked = [
        answered("Paris", "Rome", "Paris", id="a"),
        answered("x", "x", context="x y", id="b"),
        answered("", id="c"),
    ]
    write_predictions(tmp_path / "p.json", asked)
    predictions = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert [(one.id, one.texts) for one in question_rows(tmp_path / "questions.json", "answers")] == [
        ("a", ("Rome", "Paris")),
        ("c", ("Paris",)),
        ("b", ("x",)),
    ]
    metrics = evaluate(
        (predictions[one.id], one.texts) for one in question_rows(tmp_path / "questions.json", "answers")
    )
    assert metrics == qa_metrics(asked)["official"]
    rows = read_official(tmp_path / "questions.json", "error").rows
    assert [row["answers"]["answer_start"][0] for row in rows] == [CONTEXT.index("Rome"), CONTEXT.index("Paris"), 0]
