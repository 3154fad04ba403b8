"""Requests from SQuAD's official JSON: real questions on real contexts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

# Enough for contexts of every length, few enough for every Locust process to hold.
SAMPLE = 500
SEED = 0


def squad_requests(articles: Any) -> Sequence[dict[str, str]]:
    """`SAMPLE` questions, the same in every run, in the file's order; all where there are no more.

    Args:
        articles: what stands under `data`.

    Raises:
        ValueError: it is not in the official format.
    """
    try:
        requests = [
            {"question": row["question"], "context": paragraph["context"]}
            for article in articles
            for paragraph in article["paragraphs"]
            for row in paragraph["qas"]
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not in SQuAD's official format ({error!r})") from error
    chosen = random.Random(SEED).sample(range(len(requests)), min(SAMPLE, len(requests)))
    return [requests[i] for i in sorted(chosen)]
