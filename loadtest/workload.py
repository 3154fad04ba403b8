"""Describe the workload of a load test: the requests to each model, and the load over time.

The workload is written to a file, so that all sending processes read the same one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtest.samples import Sample
from loadtest.stages import Stage
from loadtest.target import Target


@dataclass(frozen=True)
class RequestSet:
    """Requests to one model with the expected answers; if `labels` is None, any label is accepted."""

    target: Target
    model: str
    samples: list[Sample]
    labels: list[str] | None

    @property
    def path(self) -> str:
        return f"/predictions/{self.model}"


@dataclass(frozen=True)
class Workload:
    """Requests to several models of one server, the share of each model, and the load over time.

    A request that is not answered within `timeout` seconds fails.
    """

    sets: Sequence[RequestSet]
    shares: Sequence[float]
    stages: Sequence[Stage]
    timeout: float = 30.0

    @property
    def target(self) -> Target:
        return self.sets[0].target

    @property
    def models(self) -> list[str]:
        return [requests.model for requests in self.sets]

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    def write(self, path: Path) -> None:
        """Write the workload with the server's key: `path` must be in a private folder."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Workload:
        content = json.loads(path.read_text(encoding="utf-8"))
        stages = [Stage(**stage) for stage in content["stages"]]
        return cls([_request_set(**one) for one in content["sets"]], content["shares"], stages, content["timeout"])


def _request_set(target: dict[str, Any], samples: list[dict[str, Any]], **content: Any) -> RequestSet:
    return RequestSet(target=Target(**target), samples=[Sample(**sample) for sample in samples], **content)
