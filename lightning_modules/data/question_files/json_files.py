"""JSON files: SQuAD's own, `data[].paragraphs[].qas[]`, or flat rows."""

from pathlib import Path
from typing import Any

from lightning_modules.data.question_files.row_files import Found, line_rows, numbered
from lightning_modules.data.source_files import BadRow, json_content


def json_questions(path: Path) -> Found:
    """Raises `ValueError` where the file is neither."""
    content = json_content(path)
    if content is None:
        yield from line_rows(path)
        return
    rows = content.get("data") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise ValueError('expected SQuAD\'s {"data": [...]} or a list of rows')
    nested = any(isinstance(row, dict) and "paragraphs" in row for row in rows)
    yield from _articles(rows) if nested else numbered(rows)


def _articles(articles: list[Any]) -> Found:
    for i, article in enumerate(articles):
        at = f"data[{i}]"
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            yield at, BadRow("no list of paragraphs")
            continue
        for j, paragraph in enumerate(paragraphs):
            yield from _paragraph(f"{at}.paragraphs[{j}]", article.get("title"), paragraph)


def _paragraph(at: str, title: Any, paragraph: Any) -> Found:
    qas = paragraph.get("qas") if isinstance(paragraph, dict) else None
    if not isinstance(qas, list):
        yield at, BadRow("no list of qas")
        return
    for k, qa in enumerate(qas):
        place = f"{at}.qas[{k}]"
        if isinstance(qa, dict) and qa.get("id") is None:
            yield place, BadRow("no id")
        elif isinstance(qa, dict):
            yield place, {**qa, "title": title, "context": paragraph.get("context")}
        else:
            yield place, qa
