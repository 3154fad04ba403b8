"""Run a task's DVC pipeline, from data to archive, as far as something has changed.

python -m lightning_modules.pipeline sentiment
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

PIPELINES = Path("configs/dvc")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_modules.pipeline", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("task", help="a folder of configs/dvc")
    task = parser.parse_args().task
    folder = PIPELINES / task
    if not (folder / "dvc.yaml").is_file():
        known = ", ".join(sorted(path.parent.name for path in PIPELINES.glob("*/dvc.yaml")))
        print(f"error: there is no pipeline {task}: {PIPELINES} has {known}", file=sys.stderr)
        return 2
    code = reproduce(folder, "--quiet", "condition")
    if code:
        return code
    runs = json.loads(Path("runs", task, "condition.json").read_text(encoding="utf-8"))["runs"]
    # The stages of a task that is skipped here have no outputs.
    return reproduce(folder, *([] if runs else ["--allow-missing"]))


def reproduce(folder: Path, *options: str) -> int:
    """Run `dvc repro` in a folder, whose stages find `python` and `dvc` where this Python is; return its exit code."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["dvc", "repro", *options]
    return subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
