"""Read splits of labelled texts or of questions, from a user's file or from the hub; bad rows are named or dropped."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from datasets import Dataset, Features, List, Value, load_dataset

from archives.reading.arrow import arrow_rows
from archives.reading.files import DataError, refusal
from archives.reading.labelled import LabelledRow, checked_rows, labelled_rows
from archives.reading.options import ReadOptions
from archives.reading.questions import Question, checked_questions, numbered, question_rows
from lightning_modules.data.cache import cached_rows, digest
from lightning_modules.data.splits import Split
from lightning_modules.errors import UserError

BadRows = Literal["error", "drop"]

STRING = Value("large_string")
TEXT_COLUMNS = Features(
    {"row": Value("int64"), "text": STRING, "label": STRING, "complexity": STRING, "problem": Value("string")}
)
QUESTION_COLUMNS = Features(
    {
        "place": Value("string"),
        "id": Value("string"),
        "title": Value("string"),
        "context": Value("string"),
        "question": Value("string"),
        "answers": {"text": List(Value("string")), "answer_start": List(Value("int32"))},
        "repaired": Value("bool"),
        "problem": Value("string"),
    }
)
# A split's name on the hub -> its name here.
HUB_SPLITS = {"train": "train", "validation": "val", "test": "test"}


def read_texts(path: Path, options: ReadOptions, bad_rows: BadRows) -> Split:
    """Read a file as its ending says, see `archives.reading`.

    The split has the string columns `text`, `label` and `complexity` ("": none), and `row`: the number in the file,
    from 1.

    Raises:
        UserError: no such file, an unknown format or column, or, unless they are to be dropped, bad rows.
    """
    with as_user_error():
        rows = labelled_rows(path, options)
        return _texts(path, _source(path), rows, options, bad_rows)


def read_questions(path: Path, bad_rows: BadRows, *, check_starts: bool = True) -> Split:
    """Read a file as its ending says, see `archives.reading`.

    The split has the columns of the hub's `squad`: `id`, `title`, `context`, `question` and `answers`: {`text`,
    `answer_start`}, one or more each. A start counts characters of the context.

    An answer_start at which its text does not stand is corrected when the text stands once in the context. Otherwise
    the question is bad, as it is without any answer (SQuAD v2's unanswerable ones): a span cannot be learnt from it.

    Args:
        check_starts: False lets wrong starts through as -1; exact match and F1 do not use them.

    Raises:
        UserError: no such file, an unknown format, nothing in it, or, unless they are to be dropped, bad questions.
    """
    with as_user_error():
        questions = question_rows(path, "starts" if check_starts else "answers")
        return _questions(path, f"{_source(path)} {check_starts}", questions, bad_rows)


def read_hub_texts(name: str, options: ReadOptions, bad_rows: BadRows) -> dict[str, Split]:
    """Read `train`, and where there are any `val` and `test`, of a hub data set like SST-2 or a local folder.

    A split without a single label, as the test split of a public contest has, is left out.
    """
    splits = {}
    for split, (path, rows) in _load_hub(name).items():
        if split == "train" or not _is_unlabelled(rows, options.label_column):
            with as_user_error():
                source, texts = rows._fingerprint, checked_rows(_hub_rows(path, rows, options), options)
                splits[split] = _texts(path, source, texts, options, bad_rows)
    return splits


def read_hub_questions(name: str, bad_rows: BadRows = "error") -> dict[str, Split]:
    """Read `train`, and where there are any `val` and `test`, of a hub data set like `squad` or a local folder.

    Only in training has each answer_start to be right.
    """
    splits = {}
    for split, (path, rows) in _load_hub(name).items():
        check_starts = split == "train"
        questions = checked_questions(numbered(rows), "starts" if check_starts else "answers")
        splits[split] = _questions(path, f"{rows._fingerprint} {check_starts}", questions, bad_rows)
    return splits


def with_files(hub: Mapping[str, Split], files: Mapping[str, Split]) -> dict[str, Split]:
    """Return the hub's splits, in place of them those that come from a user's files.

    Where no test split is public, the hub's validation split stays apart for it until training is over.
    """
    if "test" not in files and "test" not in hub and "val" in hub:
        hub = {"test" if split == "val" else split: rows for split, rows in hub.items()}
    return {**hub, **files}


def without_bad(split: Split, problems: Mapping[int, str], bad_rows: BadRows, place: Callable[[int], str]) -> Split:
    """Return the split without its bad rows, which it counts.

    Args:
        problems: the problem of each bad row, by the row's index.
        place: returns a name for the row with an index.

    Raises:
        UserError: there are bad rows and `bad_rows` is not `drop`, or no row remains.
    """
    if not problems:
        return split
    if bad_rows == "error":
        bad = [(place(i), problem) for i, problem in problems.items()]
        with as_user_error():
            raise refusal(split.path, bad, "Mend them, or drop and count them with --data.bad_rows=drop")
    good = [i for i in range(len(split.rows)) if i not in problems]
    if not good:
        raise UserError(f"{split.path}: no good row is left after dropping {len(problems)} bad ones")
    return replace(split, rows=split.rows.select(good), dropped=split.dropped + Counter(problems.values()))


@contextmanager
def as_user_error() -> Iterator[None]:
    """Raise the reading room's error as the one that this package's commands print as one line."""
    try:
        yield
    except DataError as error:
        raise UserError(str(error)) from error


def _texts(path: Path, source: str, rows: Iterable[LabelledRow], options: ReadOptions, bad_rows: BadRows) -> Split:
    read = cached_rows("tables", f"{source} {options}", rows, TEXT_COLUMNS)
    if not len(read):
        raise UserError(f"{path} has no rows")
    return _good(path, read, bad_rows, lambda i: f"row {read[i]['row']}")


def _questions(path: Path, source: str, questions: Iterable[Question], bad_rows: BadRows) -> Split:
    read = cached_rows("questions", source, map(_question_columns, questions), QUESTION_COLUMNS)
    if not len(read):
        raise UserError(f"{path} has no questions")
    split = _good(path, read, bad_rows, lambda i: str(read[i]["place"]))
    repaired = sum(split.rows["repaired"][:])
    return replace(split, rows=split.rows.remove_columns(["place", "repaired"]), repaired=repaired)


def _good(path: Path, read: Dataset, bad_rows: BadRows, place: Callable[[int], str]) -> Split:
    problems = {i: problem for i, problem in enumerate(read["problem"][:]) if problem}
    return without_bad(Split(path, read.remove_columns("problem")), problems, bad_rows, place)


def _question_columns(one: Question) -> tuple[object, ...]:
    """Return the values of `QUESTION_COLUMNS`."""
    answers = {"text": list(one.texts), "answer_start": list(one.starts)}
    return one.place, one.id, one.title, one.context, one.question, answers, one.repaired, one.problem


def _source(path: Path) -> str:
    """Return what the rows of a file depend on: its content, and the ending that says how to read it."""
    return f"{digest(path)} {''.join(path.suffixes[-2:]).lower()}"


def _load_hub(name: str) -> dict[str, tuple[Path, Dataset]]:
    """Load a data set's splits, each with its name there."""
    try:
        splits = load_dataset(name)
    except Exception as error:  # hub and network libraries raise what they like
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"data set {name!r} could not be loaded ({cause}). Without access to the hub give files: "
            "--data.train_file, --data.val_file"
        ) from error
    if "train" not in splits:
        raise UserError(f"data set {name!r} has no split train, only {', '.join(splits)}")
    return {HUB_SPLITS[split]: (Path(name) / split, rows) for split, rows in splits.items() if split in HUB_SPLITS}


def _hub_rows(path: Path, rows: Dataset, options: ReadOptions) -> Iterator[dict[str, object]]:
    rows = rows.select_columns(options.columns_of(path, rows.column_names))
    return arrow_rows(rows.with_format("arrow").iter(1000), rows.features.arrow_schema, rows.data.column)


def _is_unlabelled(rows: Dataset, label: str) -> bool:
    return label in rows.column_names and set(rows.unique(label)) <= {None, -1, ""}
