"""What a load test sends and expects: a file, so that every Locust process reads the same."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtest.samples import Sample
from loadtest.target import Target

# The environment variable that names the file, for loadtest/users.py.
VARIABLE = "LOADTEST_PLAN"


@dataclass(frozen=True)
class Plan:
    """`user_rate` is each user's requests a second, None for as fast as answers come; `result` is the file for the
    summary."""

    target: Target
    model: str
    samples: list[Sample]
    labels: list[str] | None
    user_rate: float | None
    result: str

    @property
    def path(self) -> str:
        return f"/predictions/{self.model}"

    def write(self, path: Path) -> None:
        """Holds a key, so `path` belongs into a private folder."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Plan:
        content = json.loads(path.read_text(encoding="utf-8"))
        target, samples = Target(**content.pop("target")), [Sample(**sample) for sample in content.pop("samples")]
        return cls(target=target, samples=samples, **content)
