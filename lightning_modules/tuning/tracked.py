"""The search in MLflow: a parent run for the study, shared by its processes, and a nested run for each trial."""

from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.trial import FrozenTrial, TrialState

from lightning_modules import tracking

if TYPE_CHECKING:
    from lightning.pytorch.loggers import MLFlowLogger

PARENT = "mlflow.parentRunId"
STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAIL: "FAILED"}


class TrackedSearch:
    """Runs of one study; begins its parent run, or goes on with the one that the study remembers."""

    def __init__(self, study: optuna.Study, name: str, runs_dir: str) -> None:
        self.name = name
        self.runs_dir = runs_dir
        self.study = study
        # A study that is tracked in two places has a parent in each.
        self.key = f"mlflow run at {tracking.store(runs_dir)[0]}"
        known = study.user_attrs.get(self.key)
        self.parent = tracking.make_logger(name, runs_dir, run_id=known, run_name="search")
        if known is None:
            study.set_user_attr(self.key, self.parent.run_id)
            goal = study.user_attrs["goal"]
            space = {f"space.{name}": values for name, values in goal["space"].items()}
            self.parent.log_hyperparams({"monitor": goal["monitor"], "mode": goal["mode"], **space})
        else:
            self.parent.experiment.update_run(known, status="RUNNING")

    def logger_of(self, trial: optuna.Trial) -> "MLFlowLogger":
        """Of a nested run that has the trial's parameters."""
        tags = {PARENT: self.parent.run_id, "trial": str(trial.number)}
        logger = tracking.make_logger(self.name, self.runs_dir, run_name=f"trial-{trial.number}", tags=tags)
        logger.log_hyperparams(trial.params)
        trial.set_user_attr(self.key, logger.run_id)
        return logger

    def end_trial(self, trial: FrozenTrial) -> None:
        client, run_id = self.parent.experiment, trial.user_attrs[self.key]
        if trial.state == TrialState.COMPLETE:
            client.log_metric(run_id, "best", trial.value)
        client.set_tag(run_id, "state", trial.state.name.lower())
        client.set_terminated(run_id, STATUS[trial.state])

    def end(self, best: FrozenTrial, folder: Path) -> None:
        """Closes the parent run with the best trial's value and parameters, and the study's files."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
            if self.key in trial.user_attrs:  # its process was stopped
                self.end_trial(trial)
        client, run_id = self.parent.experiment, self.parent.run_id
        client.log_metric(run_id, "best", best.value)
        client.set_tag(run_id, "best_trial", str(best.number))
        for name, value in best.params.items():
            client.set_tag(run_id, f"best.{name}", str(value))
        for file in sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".json", ".csv", ".png"}):
            client.log_artifact(run_id, str(file))
        client.set_terminated(run_id, "FINISHED")
