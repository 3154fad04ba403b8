"""What the workers have done so far, from the server's metrics in the text format of Prometheus."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass

LINE = re.compile(r"^(\w+)\{(.*)\} ([-+.\dEe]+)", re.MULTILINE)
MODEL = re.compile(r'(?:ModelName|model_name)="([^"]*)"')
TIMEOUT_SECONDS = 2.0
# Metrics by the names that configs/serving/metrics.yaml gives them.
REQUESTS, BATCHES = "ts_inference_requests_total", "batch_fill_count"
TOKENS, RUN_TOKENS = "tokens_total", "padded_tokens_total"


@dataclass(frozen=True)
class Work:
    """Counted since the server's start; `run_tokens` are `tokens` and padding."""

    requests: float = 0.0
    batches: float = 0.0
    tokens: float = 0.0
    run_tokens: float = 0.0

    def since(self, before: Work) -> Work:
        return Work(
            self.requests - before.requests,
            self.batches - before.batches,
            self.tokens - before.tokens,
            self.run_tokens - before.run_tokens,
        )

    @property
    def batch_size(self) -> float | None:
        """Requests in a batch on average; None without any batch."""
        return self.requests / self.batches if self.batches else None

    @property
    def padding_share(self) -> float | None:
        """Of all the tokens that the model ran; None without any."""
        return 1 - self.tokens / self.run_tokens if self.run_tokens else None


def fetch(url: str, models: Collection[str]) -> Work:
    """Of these models together; raises OSError where the server does not answer."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
        return read(answer.read().decode(), models)


def read(text: str, models: Collection[str]) -> Work:
    totals = dict.fromkeys((REQUESTS, BATCHES, TOKENS, RUN_TOKENS), 0.0)
    for name, labels, value in LINE.findall(text):
        if name in totals and (model := MODEL.search(labels)) and model[1] in models:
            totals[name] += float(value)
    return Work(totals[REQUESTS], totals[BATCHES], totals[TOKENS], totals[RUN_TOKENS])
