"""The figures a model has to reach before it is exported."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lightning_modules.errors import UserError


@dataclass(frozen=True)
class Gate:
    """Lowest accepted figures, as fractions of 1; null: not required."""

    accuracy: float | None = None
    macro_f1: float | None = None
    exact_match: float | None = None
    f1: float | None = None

    def __post_init__(self) -> None:
        for name, required in self.required.items():
            if not 0 <= required <= 1:
                raise UserError(f"gate.{name} is {required}: give a fraction from 0 to 1, such as 0.88")

    @property
    def required(self) -> dict[str, float]:
        """The figures that are asked for, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def refuse_unknown(self, figures: Sequence[str]) -> None:
        """Raises `UserError` for a figure that the task does not have; `figures` are those it has."""
        for name in self.required:
            if name not in figures:
                raise UserError(f"gate.{name} is not a figure of this task: give {' or '.join(figures)}")

    def check(self, metrics: Mapping[str, Any]) -> list[str]:
        """One sentence for each figure that is missed; an empty list: passed. A figure that is no number is missed."""
        return [
            _missed(name, metrics[name], required)
            for name, required in self.required.items()
            if not metrics[name] >= required
        ]

    def verdict(self, metrics: Mapping[str, Any], parity: Sequence[str] = ()) -> dict[str, Any]:
        """The gate as the report shows it: `required`, `missed` and `passed`, ready for JSON.

        `parity`: sentences of what the exported forms miss, which fails the gate too.
        """
        missed = [*self.check(metrics), *parity]
        return {"passed": not missed, "required": self.required, "missed": missed}


def _missed(name: str, reached: float, required: float) -> str:
    """With as many digits as it takes to tell the two figures apart, four at least."""
    digits = next((d for d in range(4, 17) if f"{reached:.{d}f}" != f"{required:.{d}f}"), 17)
    return f"{name} {reached:.{digits}f} is {required - reached:.{digits}f} below the required {required:.{digits}f}"
