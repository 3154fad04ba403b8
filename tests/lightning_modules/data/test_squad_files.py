"""Questions of every format become the same rows, and every bad one is named."""

import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pytest
from datasets import Dataset

from lightning_modules.data.squad_files import read_hub, read_questions
from lightning_modules.errors import UserError

CONTEXT = "Zoë 🙂 moved to Paris in 1973.\r\nIn 1980 she left Paris for مراكش."


def flat(**changed: Any) -> dict[str, Any]:
    """A good flat row, or one with something changed; None: left out."""
    row = {
        "id": "q1",
        "title": "Zoë",
        "context": CONTEXT,
        "question": "Where did she go?",
        "answers": {"text": ["مراكش", "Paris"], "answer_start": [CONTEXT.index("مراكش"), CONTEXT.index("Paris")]},
    }
    return {key: value for key, value in {**row, **changed}.items() if value is not None}


def answer(*starts: Any, text: str = "Paris") -> dict[str, list[Any]]:
    return {"text": [text] * len(starts), "answer_start": list(starts)}


ROWS = [flat(), flat(id="q2", question="When did she leave?", answers=answer(CONTEXT.index("1980"), text="1980"))]


def nested(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """SQuAD's own format, an article and a paragraph a row."""
    return {
        "version": "1.1",
        "data": [
            {
                "title": row.get("title", ""),
                "paragraphs": [
                    {
                        "context": row["context"],
                        "qas": [
                            {
                                "id": row["id"],
                                "question": row["question"],
                                "answers": [
                                    {"text": text, "answer_start": start}
                                    for text, start in zip(*row["answers"].values(), strict=True)
                                ],
                            }
                        ],
                    }
                ],
            }
            for row in rows
        ],
    }


def written(path: Path, content: Any) -> Path:
    kind = path.suffixes[0]
    if kind == ".parquet":
        plain = path.with_suffix("") if path.suffix == ".gz" else path
        Dataset.from_list(content).to_parquet(plain)
        data = plain.read_bytes()
    elif kind == ".jsonl":
        data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content).encode()
    else:
        data = json.dumps(content, ensure_ascii=False).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize("ending", [".json", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, ending: str, zipped: str) -> None:
    questions = read_questions(written(tmp_path / f"flat{ending}{zipped}", ROWS), "error")
    assert list(questions.rows) == ROWS
    assert questions.dropped == {}
    assert questions.repaired == 0


@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_the_official_format_gives_the_same_rows(tmp_path: Path, zipped: str) -> None:
    assert list(read_questions(written(tmp_path / f"squad.json{zipped}", nested(ROWS)), "error").rows) == ROWS


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", ROWS)
    assert list(read_questions(path.rename(tmp_path / "rows.json"), "error").rows) == ROWS


def test_flat_rows_in_data_and_answers_as_objects_are_read(tmp_path: Path) -> None:
    start = CONTEXT.index("1973")
    rows = [
        flat(id="a", answers=[{"text": "1973", "answer_start": start}]),
        flat(id="b", answers={"text": "1973", "answer_start": start}),
    ]
    read = read_questions(written(tmp_path / "rows.json", {"data": rows}), "error").rows
    assert [row["answers"] for row in read] == [{"text": ["1973"], "answer_start": [start]}] * 2


def test_flat_rows_need_no_id_and_no_title(tmp_path: Path) -> None:
    read = read_questions(written(tmp_path / "rows.jsonl", [flat(id=None, title=None), flat(id=7)]), "error").rows
    assert [(row["id"], row["title"]) for row in read] == [("row 1", ""), ("7", "Zoë")]


def test_every_answer_stands_where_the_row_says(tmp_path: Path) -> None:
    rows = [
        flat(id="late", answers=answer(3, text="1973")),
        flat(id="right"),
        flat(id="none", answers=answer(0, text="Zoë")),
    ]
    questions = read_questions(written(tmp_path / "rows.json", rows), "error")
    for row in questions.rows:
        for text, start in zip(*(row["answers"][key] for key in ("text", "answer_start")), strict=True):
            assert row["context"].startswith(text, start)
    assert questions.repaired == 1


BAD = {
    "not in the context": flat(answers=answer(3, text="London")),
    "stands more than once": flat(answers=answer(3)),
    "stands more than once ": flat(answers=answer(-50)),  # an index from the end would find something
    "no answer: a span cannot be learnt": flat(answers=answer()),
    "no answer: a span cannot be learnt ": flat(is_impossible=True),
    "no answers": flat(answers=None),
    "answers are not objects": flat(answers="Paris"),
    "lists of different lengths": flat(answers={"text": ["Paris"], "answer_start": [1, 2]}),
    "answers have no list of text": flat(answers={"answer_start": [1]}),
    "an answer has no answer_start": flat(answers={"text": ["1973"]}),
    "answer_start is not a whole number": flat(answers=answer("15")),
    "empty text": flat(answers=answer(0, text=" ")),
    "text is not a string": flat(answers=[{"text": 1973, "answer_start": 0}]),
    "empty question": flat(question=" "),
    "no question": flat(question=None),
    "empty context": flat(context=""),
    "context is not a string": flat(context=["a"]),
    "question is not valid Unicode": flat(question="half \ud83d"),
    "another question has the same id": flat(id="q2"),
    "id is neither": flat(id=["q"]),
    "not an object": "text",
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_question_is_named_or_dropped_and_counted(tmp_path: Path, fault: str) -> None:
    bad: Any = BAD[fault]
    path = tmp_path / "bad.json"
    path.write_text(json.dumps([ROWS[1], bad, flat(id="q3")]), encoding="utf-8")
    named = isinstance(bad, dict) and isinstance(bad["id"], str)
    place = f"question {bad['id']!r}" if named else "row 2"
    with pytest.raises(UserError) as caught:
        read_questions(path, "error")
    assert str(caught.value).startswith(f"{path}: {place}: ")
    assert fault.strip() in str(caught.value)
    assert str(caught.value).endswith("Mend them, or drop and count them with --data.bad_rows=drop")
    questions = read_questions(path, "drop")
    assert list(questions.rows["id"]) == ["q2", "q3"]
    assert [fault.strip() in told for told in questions.dropped] == [True]
    assert questions.dropped.total() == 1


def test_what_is_missing_in_the_official_format_is_told_with_its_place(tmp_path: Path) -> None:
    content = nested([flat(id=f"q{i}") for i in range(6)])
    articles = content["data"]
    del articles[0]["paragraphs"][0]["qas"][0]["id"]
    articles[1]["paragraphs"] = None
    del articles[2]["paragraphs"][0]["qas"]
    articles[3]["paragraphs"][0]["qas"][0] = "text"
    del articles[4]["paragraphs"][0]["context"]
    path = written(tmp_path / "bad.json", content)
    with pytest.raises(UserError) as caught:
        read_questions(path, "error")
    assert [part.strip() for part in str(caught.value).split(". Mend")[0].split(";")] == [
        f"{path}: data[0].paragraphs[0].qas[0]: no id",
        "data[1]: no list of paragraphs",
        "data[2].paragraphs[0]: no list of qas",
        "data[3].paragraphs[0].qas[0]: not an object",
        "question 'q4': no context",
    ]
    questions = read_questions(path, "drop")
    assert list(questions.rows["id"]) == ["q5"]
    assert questions.dropped.total() == 5


def test_five_bad_questions_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.jsonl", [flat(id=f"q{i}", question="") for i in range(8)])
    with pytest.raises(UserError, match=r"question 'q4': empty question; and 3 more\. Mend"):
        read_questions(path, "error")
    with pytest.raises(UserError, match="no good row is left after dropping 8 bad ones"):
        read_questions(path, "drop")


def test_a_broken_line_costs_only_itself(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", ROWS)
    path.write_bytes(path.read_bytes() + b'{"question": \n' + json.dumps(flat(id="q3")).encode())
    with pytest.raises(UserError, match="row 3: not JSON"):
        read_questions(path, "error")
    assert list(read_questions(path, "drop").rows["id"]) == ["q1", "q2", "q3"]


def test_another_encoding_is_named_by_question(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    row = flat(context="été 1973", answers=answer(4, text="1973"))
    path.write_bytes(json.dumps(row, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(UserError, match=r"question 'q1': context is not valid Unicode \(wrong encoding"):
        read_questions(path, "error")


def test_a_replacement_character_is_a_character(tmp_path: Path) -> None:
    row = flat(context="what � means", answers=answer(5, text="�"), title="Unicode")
    assert list(read_questions(written(tmp_path / "rows.json", [row]), "error").rows) == [row]


def test_starts_are_not_checked_where_they_are_not_used(tmp_path: Path) -> None:
    rows = [
        flat(id="guess", answers=answer(3)),
        flat(id="absent", answers={"text": ["Paris"]}),
        flat(id="elsewhere", answers=answer(3, text="London")),
        flat(id="once", answers=answer(3, text="1973")),
    ]
    path = written(tmp_path / "rows.json", rows)
    questions = read_questions(path, "error", check_starts=False)
    starts = {row["id"]: row["answers"]["answer_start"] for row in questions.rows}
    assert starts == {"guess": [-1], "absent": [-1], "elsewhere": [-1], "once": [CONTEXT.index("1973")]}
    assert questions.repaired == 1
    with pytest.raises(UserError, match="'guess'"):
        read_questions(path, "error")


def test_a_changed_file_is_read_anew_and_the_same_content_is_not(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.json", ROWS)
    first = read_questions(path, "error").rows
    again = read_questions(written(tmp_path / "copy.json", ROWS), "error").rows
    assert first.cache_files == again.cache_files != []
    assert list(read_questions(written(path, ROWS[1:]), "error").rows) == ROWS[1:]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.json", None, "does not exist"),
        ("data.csv", b"question,context", r"unknown format '.csv', expected one of .json, .jsonl, .parquet"),
        ("broken.json", b'{"data": [', "cannot be read as json"),
        ("empty.json", b"", "cannot be read as json"),
        ("other.json", b'{"rows": []}', r"cannot be read as json: expected SQuAD's .* or a list of rows"),
        ("nothing.json", b'{"data": []}', "has no questions"),
        ("empty.jsonl", b"", "has no questions"),
        ("empty.parquet", b"", "cannot be read as parquet"),
        ("cut.json.gz", gzip.compress(b"[]" * 500)[:-9], "cannot be read as json"),
        ("plain.json.gz", b"[]", "cannot be read as json"),
    ],
)
def test_a_file_without_questions_is_told(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_questions(tmp_path / name, "error")


def test_a_folder_in_hub_layout_gives_its_parts(tmp_path: Path) -> None:
    guessed = flat(id="guess", answers=answer(3))
    for split, rows in {"train": ROWS, "validation": [guessed]}.items():
        Dataset.from_list(rows).to_parquet(tmp_path / "hub" / "plain_text" / f"{split}-00000-of-00001.parquet")
    parts = read_hub(str(tmp_path / "hub"))
    assert list(parts["train"].rows) == ROWS
    assert parts["val"].rows["answers"][0] == {"text": ["Paris"], "answer_start": [-1]}
    assert set(parts) == {"train", "val"}


def test_a_hub_out_of_reach_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"'nobody/squad' could not be loaded .*give files: --data\.train_file"
    ) as caught:
        read_hub("nobody/squad")
    assert "\n" not in str(caught.value)
