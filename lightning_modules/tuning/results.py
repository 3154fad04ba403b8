"""Write what a finished study leaves: `best.yaml`, `trials.json`, `trials.csv`, and pictures of its course."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import optuna
import pandas as pd
import yaml
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization.matplotlib import plot_optimization_history, plot_param_importances

from lightning_modules import tracking
from lightning_modules.text_files import write_if_changed, write_json
from lightning_modules.tuning.definition import full_name
from lightning_modules.tuning.study import DEFINITION, finished_trials


def write_results(study: optuna.Study, best: FrozenTrial, folder: Path, settings: Any) -> Path:
    """Write the files into the study's folder, and return the path of `best.yaml`."""
    definition = study.user_attrs[DEFINITION]
    rows = [_row(trial) for trial in finished_trials(study)]
    content = {"best": best.number, "environment": tracking.environment(), "trials": rows}
    write_json(folder / "trials.json", {"study": study.study_name, **definition, **content})
    # Objects: a column of integers with a gap would become one of floats.
    table = pd.DataFrame([{**row, **row["parameters"]} for row in rows], dtype=object)
    table.drop(columns=["parameters", "validations"]).to_csv(folder / "trials.csv", index=False)
    draw(plot_optimization_history, study, definition["monitor"], folder / "history.png")
    if len({row["value"] for row in rows if row["value"] is not None}) > 1:  # else there is nothing to explain
        draw(plot_param_importances, study, definition["monitor"], folder / "importance.png")
    path = folder / "best.yaml"
    heading = f"# The best of {len(rows)} trials, number {best.number}: {definition['monitor']} {best.value:.4f}.\n"
    overlay = yaml.safe_dump(as_overlay(best.params, settings), sort_keys=False)
    write_if_changed(path, heading + overlay)
    return path


def as_overlay(values: Mapping[str, Any], settings: Any) -> dict[str, Any]:
    """Turn values by dotted name into a nested configuration, with `class_path` where the settings have one."""
    overlay: dict[str, Any] = {}
    for name, value in values.items():
        *groups, key = full_name(name, settings).split(".")
        node, above = overlay, ""
        for group in groups:
            if group == "init_args":
                node["class_path"] = settings[f"{above}.class_path"]
            node = node.setdefault(group, {})
            above = f"{above}.{group}".strip(".")
        node[key] = value
    return overlay


def draw(plot: Any, study: optuna.Study, monitor: str, path: Path) -> None:
    """Save a plot of Optuna's, which sets a style for the whole process, without leaving it set."""
    with mpl.rc_context():
        figure = plot(study, target_name=monitor).figure
        figure.savefig(path, bbox_inches="tight")
        plt.close(figure)


def _row(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial as JSON; `value` is null if it was pruned."""
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value if trial.state == TrialState.COMPLETE else None,
        "seconds": round(trial.duration.total_seconds(), 1) if trial.duration else None,
        "parameters": trial.params,
        "validations": [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)],
    }
