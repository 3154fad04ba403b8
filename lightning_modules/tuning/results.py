"""What a finished study leaves: `best.yaml`, `trials.json`, `trials.csv`, and pictures of its course."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState

from lightning_modules import tracking
from lightning_modules.text_files import write_if_changed, write_json
from lightning_modules.tuning.pictures import history_picture, importance_picture
from lightning_modules.tuning.space import full_name
from lightning_modules.tuning.study import finished


def write_results(study: optuna.Study, best: FrozenTrial, folder: Path, settings: Any) -> Path:
    """Writes the files into the study's folder, and returns the path of `best.yaml`."""
    goal = study.user_attrs["goal"]
    rows = [_row(trial) for trial in finished(study)]
    write_json(
        folder / "trials.json",
        {"study": study.study_name, **goal, "best": best.number, "environment": tracking.environment(), "trials": rows},
    )
    write_if_changed(folder / "trials.csv", _csv(rows))
    (folder / "history.png").write_bytes(history_picture(rows, goal["monitor"], goal["mode"]))
    complete = [row for row in rows if row["value"] is not None]
    if len({row["value"] for row in complete}) > 1:  # else there is nothing to explain
        importances = optuna.importance.get_param_importances(study)
        (folder / "importance.png").write_bytes(importance_picture(importances))
    path = folder / "best.yaml"
    heading = f"# The best of {len(rows)} trials, number {best.number}: {goal['monitor']} {best.value:.4f}.\n"
    overlay = yaml.safe_dump(as_overlay(best.params, settings), sort_keys=False)
    write_if_changed(path, heading + overlay)
    return path


def as_overlay(values: Mapping[str, Any], settings: Any) -> dict[str, Any]:
    """Values by dotted name -> a nested configuration, with `class_path` where the settings have one."""
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


def _row(trial: FrozenTrial) -> dict[str, Any]:
    """`value` is null where the trial was pruned."""
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value if trial.state == TrialState.COMPLETE else None,
        "seconds": round(trial.duration.total_seconds(), 1) if trial.duration else None,
        "parameters": trial.params,
        "validations": [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)],
    }


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    names = list(rows[0]["parameters"])
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", "state", "value", "seconds", *names])
    for row in rows:
        head = [row[key] for key in ("number", "state", "value", "seconds")]
        writer.writerow([*head, *(row["parameters"].get(name) for name in names)])
    return text.getvalue()
