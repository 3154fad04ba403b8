"""Skip a task's stages on this machine, by its settings `enable` and `require_cuda`.

A stage that is skipped ends with exit code 0 and leaves `skipped.json` in its folder; a later run that comes to its end
removes it. DVC looks at files only, so for its pipelines what holds on this machine becomes one:

python -m lightning_modules.skipping --config configs/sentiment.yaml --out runs/sentiment/condition.json
"""

import argparse
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import yaml

from lightning_modules.settings import FORMS
from lightning_modules.text_files import read_json, write_json

RECORD = "skipped.json"


def skip_reason(*, enable: bool, require_cuda: bool) -> str | None:
    """Return why the stage is skipped; None: it runs."""
    if require_cuda:
        import torch

        if not torch.cuda.is_available():
            return "require_cuda is true, and no CUDA device is usable here"
    return None if enable else "enable is false"


def skip(folder: Path, *, name: str, stage: str, why: str, metrics: Sequence[str]) -> None:
    """Write the record into the stage's folder and say so in one line; what an earlier run left there stays.

    The task's `metrics`, given by their names, are null in it for each form of the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "name": name,
        "stage": stage,
        "why": why,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "metrics": {form: dict.fromkeys(metrics) for form in FORMS},
    }
    write_json(folder / RECORD, record)
    print(f"{name}: skipped: {why}")


def why_skipped(folder: Path) -> str | None:
    """Return why the folder's latest run was skipped; None where it was not."""
    record = folder / RECORD
    return read_json(record)["why"] if record.is_file() else None


def clear(folder: Path) -> None:
    """Remove the record of an earlier run."""
    (folder / RECORD).unlink(missing_ok=True)


def main() -> None:
    """Write whether a task's stages run here: `{"runs": true}`, or false and why."""
    parser = argparse.ArgumentParser(prog="python -m lightning_modules.skipping", description=main.__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the task's YAML")
    parser.add_argument("--after", type=Path, help="such a file of a task that has to run too")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    settings = yaml.safe_load(options.config.read_text(encoding="utf-8"))
    why = skip_reason(enable=settings.get("enable", True), require_cuda=settings.get("require_cuda", False))
    if why is None and options.after:
        why = read_json(options.after).get("why")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, {"runs": True} if why is None else {"runs": False, "why": why})


if __name__ == "__main__":
    main()
