"""Define the settings of a task's YAML that belong to neither the model, the data nor the trainer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from lightning_modules.errors import UserError

if TYPE_CHECKING:
    from optuna import Trial

# Names, in metadata.json, the reports and MLflow, of a trained model's forms: torch weights and two ONNX files.
FORMS = ("torch", "fp32", "int8")
Value = int | float | str | bool | None


@dataclass(frozen=True)
class Gate:
    """Metrics that a model has to reach before it is exported, as fractions of 1; null: not required."""

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
        """The required metrics by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def refuse_unknown(self, metrics: Sequence[str]) -> None:
        """Raise `UserError` for a required metric that is not among the task's `metrics`."""
        for name in self.required:
            if name not in metrics:
                raise UserError(f"gate.{name} is not a metric of this task: give {' or '.join(metrics)}")

    def check(self, metrics: Mapping[str, Any]) -> list[str]:
        """Return one sentence for each missed metric, NaN included; an empty list means passed."""
        return [
            _missed(name, metrics[name], required)
            for name, required in self.required.items()
            if not metrics[name] >= required
        ]

    def verdict(self, metrics: Mapping[str, Any], parity: Sequence[str] = ()) -> dict[str, Any]:
        """Return the gate as the report shows it: `passed`, `required` and `missed`, ready for JSON.

        `parity` holds a sentence for each limit that an exported form misses; one of them fails the gate too.
        """
        missed = [*self.check(metrics), *parity]
        return {"passed": not missed, "required": self.required, "missed": missed}


def _missed(name: str, reached: float, required: float) -> str:
    # Show enough digits to tell the two numbers apart, at least four.
    digits = next((d for d in range(4, 17) if f"{reached:.{d}f}" != f"{required:.{d}f}"), 17)
    return f"{name} {reached:.{digits}f} is {required - reached:.{digits}f} below the required {required:.{digits}f}"


@dataclass(frozen=True)
class Export:
    """Settings of the export to ONNX, and of how close the exported forms must be to torch.

    Args:
        version: version of the model, as TorchServe names it.
        opset: ONNX operator set.
        check_rows: highest number of test rows on which the ONNX forms are compared with torch.
        max_logit_difference: largest difference of an fp32 ONNX logit from torch's; a larger one fails the export.
        max_accuracy_loss: largest loss of INT8 against torch, as a share of rows (0.01: one point); more fails it.
        max_f1_loss: the same for the F1 of question answering.
        min_agreement: share of the rows on which INT8 must give torch's label; less fails the export.
    """

    version: str = "1.0"
    opset: int = 18
    check_rows: int = 5000
    max_logit_difference: float = 1e-3
    max_accuracy_loss: float = 0.01
    max_f1_loss: float = 0.005
    min_agreement: float = 0.99

    def __post_init__(self) -> None:
        if self.check_rows < 1:
            raise UserError(f"export.check_rows is {self.check_rows}: give 1 or more")


@dataclass(frozen=True)
class Range:
    """A range from `low` to `high` inclusive, of integers if both are; with `log`, uniform in the logarithm."""

    low: int | float
    high: int | float
    log: bool = False

    @property
    def integral(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def first(self) -> Value:
        return self.low

    def problem(self) -> str | None:
        if self.low > self.high:
            return f"low is {self.low}, above high, {self.high}"
        return "a logarithmic range starts above 0" if self.log and self.low <= 0 else None

    def holds(self, value: Any) -> bool:
        return isinstance(value, int if self.integral else int | float) and self.low <= value <= self.high

    def suggest(self, trial: "Trial", name: str) -> Value:
        if self.integral:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choices:
    """A list of values, of which a trial takes one."""

    choices: list[Value]

    @property
    def first(self) -> Value:
        return self.choices[0]

    def problem(self) -> str | None:
        return None if self.choices else "there is nothing to choose from"

    def holds(self, value: Any) -> bool:
        return value in self.choices

    def suggest(self, trial: "Trial", name: str) -> Value:
        return trial.suggest_categorical(name, self.choices)


@dataclass(frozen=True)
class Search:
    """Settings of the search by `tune`.

    Args:
        space: for an option's dotted name, such as `model.learning_rate`: `low` and `high` (and `log`), or `choices`.
        startup_trials: number of random trials before the sampler (TPE) learns from the finished ones, and before any
            trial is pruned.
        seed: seed of the sampler.
    """

    space: dict[str, Range | Choices] = field(default_factory=dict)
    startup_trials: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, values in self.space.items():
            if problem := values.problem():
                raise UserError(f"tune.space.{name}: {problem}")

    def suggest(self, trial: "Trial") -> dict[str, Value]:
        return {name: values.suggest(trial, name) for name, values in self.space.items()}

    def as_json(self) -> dict[str, Any]:
        return {name: asdict(values) for name, values in self.space.items()}
