"""Texts of many lengths, made of the golden ones: what people send is mostly short, and sometimes very long."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

from loadtest.samples import Sample

# Words are log-normal, as lengths of messages are: half of them have up to 12, one in twenty more than 62, none more
# than 400. Contexts of questions are about ten times as long: half up to 120 words, one in twenty more than 460.
WORDS = {"text": (12, 1.0, 400), "context": (120, 0.82, 2000)}
SAMPLES = 200
SEED = 0


def mixed(golden: Sequence[Sample]) -> list[Sample]:
    """The same in every run; their answers are not known, so only the answers' shape can be checked."""
    chance = random.Random(SEED)
    return [Sample(_request(golden[i % len(golden)].request, golden, chance), None) for i in range(SAMPLES)]


def _request(request: Mapping[str, Any], golden: Sequence[Sample], chance: random.Random) -> dict[str, Any]:
    resized = dict(request)
    for field, (median, spread, most) in WORDS.items():
        if isinstance(resized.get(field), str):
            words = min(most, max(1, round(median * chance.lognormvariate(0, spread))))
            resized[field] = _words(field, golden, words, chance)
    return resized


def _words(field: str, golden: Sequence[Sample], count: int, chance: random.Random) -> str:
    texts = [sample.request[field] for sample in golden if isinstance(sample.request.get(field), str)]
    words = " ".join(chance.sample(texts, len(texts))).split()
    return " ".join(islice(cycle(words), count))
