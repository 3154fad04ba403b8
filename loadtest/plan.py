"""What a load test sends, to whom and how much of it: a file, so that every Locust process reads the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtest.samples import Sample
from loadtest.stages import Stage
from loadtest.target import Target

# The environment variables that name the files for loadtest/users.py: the job's, and that for what was recorded.
JOB, RESULT = "LOADTEST_JOB", "LOADTEST_RESULT"


@dataclass(frozen=True)
class Plan:
    """Requests to one model and the answers expected; `labels` None: any label will do."""

    target: Target
    model: str
    samples: list[Sample]
    labels: list[str] | None

    @property
    def path(self) -> str:
        return f"/predictions/{self.model}"


@dataclass(frozen=True)
class Job:
    """Requests to several models of one server, each by its share of all requests, and the load over time.

    A request counts as failed that is not answered within `timeout` seconds.
    """

    plans: Sequence[Plan]
    shares: Sequence[float]
    stages: Sequence[Stage]
    timeout: float = 30.0

    @property
    def target(self) -> Target:
        return self.plans[0].target

    @property
    def models(self) -> list[str]:
        return [plan.model for plan in self.plans]

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    def write(self, path: Path) -> None:
        """Holds a key, so `path` belongs into a private folder."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        content = json.loads(path.read_text(encoding="utf-8"))
        stages = [Stage(**stage) for stage in content["stages"]]
        plans = [_plan(**plan) for plan in content["plans"]]
        return cls(plans, content["shares"], stages, content["timeout"])


def _plan(target: dict[str, Any], samples: list[dict[str, Any]], **content: Any) -> Plan:
    return Plan(target=Target(**target), samples=[Sample(**sample) for sample in samples], **content)
