"""Run one trial: the ordinary `fit` with other settings, valued by its validation metric, and not exported."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import optuna
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from lightning_modules.cli import BundleCLI
from lightning_modules.errors import UserError
from lightning_modules.finish import best_checkpoint, callbacks
from lightning_modules.options import OptionError
from lightning_modules.settings import Search
from lightning_modules.tuning.definition import as_options
from lightning_modules.tuning.mlflow_runs import StudyRuns


class Pruning(Callback):
    """Report every validation to Optuna, and end the trial if it is worse than the median of the earlier trials.

    optuna-integration has such a callback, but it numbers validations by their epoch: of several in one epoch, as in
    configs/squad.yaml, Optuna would see only the first.
    """

    def __init__(self, trial: optuna.Trial, monitor: str) -> None:
        self.trial = trial
        self.monitor = monitor
        self.validations = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        metrics = trainer.callback_metrics
        if self.monitor not in metrics:
            raise UserError(f"early_stopping.monitor is {self.monitor}: give one of {', '.join(sorted(metrics))}")
        value = float(metrics[self.monitor])
        self.validations += 1
        if not isfinite(value):
            raise optuna.TrialPruned(f"{self.monitor} is {value}")
        self.trial.report(value, self.validations)
        if self.trial.should_prune():
            raise optuna.TrialPruned(f"worse than the median after {self.validations} validations")


class TrialCLI(BundleCLI):
    """Run `fit` without what follows training."""

    def __init__(self, arguments: list[str], pruning: Pruning, logger: Logger | None) -> None:
        self.pruning = pruning
        self.nested_logger = logger
        super().__init__(arguments)

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        trainer = super().instantiate_trainer(**kwargs)
        callbacks(trainer).append(self.pruning)
        return trainer

    def print_notes(self) -> None:
        """Print nothing: every trial would repeat what the training with the best settings prints."""

    def after_fit(self) -> None:
        """Neither evaluate on the test part nor export."""

    def mlflow_logger(self, name: str, runs_dir: str) -> Logger:
        assert self.nested_logger is not None, "the search is logged where its trials are"
        return self.nested_logger


@dataclass(frozen=True)
class Objective:
    """Train a trial into `<folder>/trial-<n>/` with the `arguments` of `fit` and the values of the trial."""

    arguments: Sequence[str]
    folder: str
    monitor: str
    search: Search
    runs: StudyRuns | None

    def __call__(self, trial: optuna.Trial) -> float:
        """Return the best value of the monitored metric.

        Raises:
            optuna.TrialPruned: the trial is not promising, or runs out of memory.
        """
        options = as_options(self.search.suggest(trial))
        # One device: in a distributed training, every process would search for itself.
        output = [f"--runs_dir={self.folder}", f"--name={trial_name(trial.number)}", "--trainer.devices=1"]
        logger = self.runs.logger_of(trial) if self.runs else None
        pruning = Pruning(trial, self.monitor)
        try:
            trainer = TrialCLI(["fit", *self.arguments, *options, *output], pruning, logger).trainer
        except torch.OutOfMemoryError as error:
            raise optuna.TrialPruned("out of memory") from error
        except OptionError as error:
            raise UserError(f"tune.space has a value that is refused: {' '.join(options)}: {error}") from error
        except SystemExit as error:
            raise KeyboardInterrupt from error  # how Lightning ends on Ctrl-C
        best = best_checkpoint(trainer).best_model_score
        if best is None:
            raise UserError(f"{trial_name(trial.number)} reached no validation: there is no {self.monitor}")
        return float(best)


def trial_name(number: int) -> str:
    return f"trial-{number}"
