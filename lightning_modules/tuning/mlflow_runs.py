"""Log a search to MLflow: a parent run for the study, shared by its processes, and a nested run for each trial."""

from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.trial import FrozenTrial, TrialState

from lightning_modules import tracking
from lightning_modules.tuning.study import DEFINITION

if TYPE_CHECKING:
    from lightning.pytorch.loggers import MLFlowLogger

PARENT = "mlflow.parentRunId"
STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAIL: "FAILED"}


class StudyRuns:
    """MLflow runs of one study; the parent run that the study remembers is resumed."""

    def __init__(self, study: optuna.Study, name: str, runs_dir: str) -> None:
        self.name = name
        self.runs_dir = runs_dir
        self.study = study
        # A study that is logged in two places has a parent run in each.
        self.key = f"mlflow run at {tracking.store(runs_dir)[0]}"
        run_id = study.user_attrs.get(self.key)
        self.parent = tracking.make_logger(name, runs_dir, run_id=run_id, run_name="search")
        if run_id is None:
            study.set_user_attr(self.key, self.parent.run_id)
            definition = study.user_attrs[DEFINITION]
            space = {f"space.{option}": values for option, values in definition["space"].items()}
            self.parent.log_hyperparams({"monitor": definition["monitor"], "mode": definition["mode"], **space})
        else:
            self.parent.experiment.update_run(run_id, status="RUNNING")

    def logger_of(self, trial: optuna.Trial) -> "MLFlowLogger":
        """Return the logger of a nested run with the trial's parameters."""
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
        """End the parent run with the best trial's value and parameters, and the study's files."""
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
