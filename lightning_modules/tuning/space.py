"""What to search, as it stands in a task's YAML below `tune`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from lightning_modules.errors import UserError

if TYPE_CHECKING:
    from optuna import Trial

Value = int | float | str | bool | None


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both included: whole numbers where both are; `log`: uniform in the logarithm."""

    low: int | float
    high: int | float
    log: bool = False

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def first(self) -> Value:
        return self.low

    def fault(self) -> str | None:
        if self.low > self.high:
            return f"low is {self.low}, above high, {self.high}"
        return "a logarithmic range starts above 0" if self.log and self.low <= 0 else None

    def holds(self, value: Any) -> bool:
        return isinstance(value, int if self.whole else int | float) and self.low <= value <= self.high

    def suggest(self, trial: "Trial", name: str) -> Value:
        if self.whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choices:
    """One of these."""

    choices: list[Value]

    @property
    def first(self) -> Value:
        return self.choices[0]

    def fault(self) -> str | None:
        return None if self.choices else "there is nothing to choose from"

    def holds(self, value: Any) -> bool:
        return value in self.choices

    def suggest(self, trial: "Trial", name: str) -> Value:
        return trial.suggest_categorical(name, self.choices)


@dataclass(frozen=True)
class Search:
    """What `tune` searches, and how.

    Args:
        space: by an option's dotted name, such as `model.learning_rate`: `low` and `high` (and `log`), or `choices`.
        startup_trials: drawn at random before the sampler (TPE) models the finished ones, and before any is pruned.
        seed: of the sampler.
    """

    space: dict[str, Range | Choices] = field(default_factory=dict)
    startup_trials: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, values in self.space.items():
            if fault := values.fault():
                raise UserError(f"tune.space.{name}: {fault}")

    def suggest(self, trial: "Trial") -> dict[str, Value]:
        return {name: values.suggest(trial, name) for name, values in self.space.items()}

    def as_json(self) -> dict[str, Any]:
        return {name: asdict(values) for name, values in self.space.items()}


def full_name(name: str, settings: Any) -> str:
    """`model.learning_rate` -> `model.init_args.learning_rate`, where the settings have a class there."""
    *groups, key = name.split(".")
    parts: list[str] = []
    for group in groups:
        parts.append(group)
        if "class_path" in settings[".".join(parts)]:
            parts.append("init_args")
    return ".".join([*parts, key])


def value_of(settings: Any, name: str) -> Any:
    return settings[full_name(name, settings)]


def as_options(values: Mapping[str, Value]) -> list[str]:
    """Command line options that set these."""
    return [f"--{name}={'null' if value is None else value}" for name, value in values.items()]
