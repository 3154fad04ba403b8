"""Write the metrics of a run's exported model for DVC and the like; they are null if the run was skipped.

python -m lightning_modules.evaluation.run_metrics runs/sentiment --out configs/dvc/sentiment/metrics.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

from lightning_modules.skipping import RECORD
from lightning_modules.text_files import write_json


def run_metrics(run: Path) -> dict[str, dict[str, float | None]]:
    """Return metrics by form, then by name."""
    skipped = run / RECORD
    path = skipped if skipped.is_file() else run / "export" / "metadata.json"
    forms: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["metrics"]
    return {form: {key: value for key, value in row.items() if _is_metric(value)} for form, row in forms.items()}


def _is_metric(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lightning_modules.evaluation.run_metrics")
    parser.add_argument("run", type=Path, help="its folder, such as runs/sentiment")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        metrics = run_metrics(arguments.run)
    except FileNotFoundError as error:
        parser.error(f"there is no {error.filename}: train it first, with make train")
    write_json(arguments.out, metrics)


if __name__ == "__main__":
    main()
