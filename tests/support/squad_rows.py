"""Make questions as flat rows and in the format of SQuAD, and write files of them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

CONTEXT = "Zoë 🙂 moved to Paris in 1973.\r\nIn 1980 she left Paris for مراكش."


def flat(**changed: Any) -> dict[str, Any]:
    """Return a good flat row with these changes; a column whose value is None is left out."""
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
    """Return the rows in the format of SQuAD, with an article and a paragraph for each."""
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
    """Write rows, or the official format, as the file's ending says."""
    kind = path.suffixes[0]
    if kind == ".parquet":
        plain = path.with_suffix("") if path.suffix == ".gz" else path
        parquet.write_table(pyarrow.Table.from_pylist(content), plain)
        data = plain.read_bytes()
    elif kind == ".jsonl":
        data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content).encode()
    else:
        data = json.dumps(content, ensure_ascii=False).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
