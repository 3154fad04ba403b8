"""Train one or more tasks by name, or else the default tasks, one after another.

python -m lightning_modules train [TASK …] [--name NAME] [options of fit]
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

import yaml

from lightning_modules.errors import UserError
from lightning_modules.options import suggestion
from lightning_modules.stages import Stages

CONFIGS = Path("configs")
# Tasks to train if none is named, each with its options, such as the metric it must reach on its generated test set.
DEFAULT_TASKS = {"intent": ["--gate.accuracy=0.88"], "student": ["--seeds=0"], "qa": ["--gate.f1=0.5"]}
HELP = f"""usage: python -m lightning_modules train [TASK …] [--name NAME] [options of fit]

Train, evaluate and export the task of configs/<TASK>.yaml into runs/<NAME> (by default, NAME is TASK).
Without TASK: {", ".join(DEFAULT_TASKS)}, each with the metric it has to reach on its generated data.
A task whose model is a student is trained by `distil`, any other by `fit`; fit --help lists the options."""


def commands(arguments: Sequence[str]) -> list[list[str]]:
    """Return the command that trains each task: `fit` or `distil`, with its arguments.

    Raises:
        UserError: a task has no file, or `--name` is given with several tasks.
    """
    tasks = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    options = list(arguments[len(tasks) :])
    if len(tasks) != 1 and any(option.partition("=")[0] == "--name" for option in options):
        raise UserError("--name is the name of one model: give one TASK with it, such as train intent --name my-intent")
    chosen: dict[str, list[str]] = {task: [] for task in tasks} or DEFAULT_TASKS
    return [
        [_command(task), f"--config={CONFIGS / task}.yaml", f"--name={task}", *defaults, *options]
        for task, defaults in chosen.items()
    ]


def _command(task: str) -> str:
    path = CONFIGS / f"{task}.yaml"
    if not path.is_file():
        raise UserError(f"there is no task {task}, which would be {path}{suggestion(task, known_tasks())}")
    model = yaml.safe_load(path.read_text(encoding="utf-8")).get("model", {}).get("class_path", "")
    return "distil" if model.endswith(".Distiller") else "fit"


def known_tasks() -> list[str]:
    """Return the names of the tasks in `configs`; files without a `name` are overlays for a task."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml") if "\nname:" in f"\n{path.read_text(encoding='utf-8')}")


def run_all(runs: Sequence[Sequence[str]]) -> None:
    """Run the commands in order and print how long each took; stop at the first failure, with its exit code.

    Each runs in its own process, because a training on several devices starts its process's command again for each.
    """
    stages = Stages()
    for run in runs:
        stages.begin(next(option.partition("=")[2] for option in run if option.startswith("--name=")))
        with subprocess.Popen([sys.executable, "-m", "lightning_modules", *run]) as process:
            signal.signal(signal.SIGTERM, lambda *_, process=process: process.terminate())
            code = _wait(process)
        if code:
            sys.exit(code if code > 0 else 128 - code)
    print(f"time: {stages.end()}")


def _wait(process: subprocess.Popen[bytes]) -> int:
    while process.poll() is None:
        with suppress(KeyboardInterrupt):  # the child gets the signal too, and ends by itself
            process.wait()
    return process.returncode


def train(arguments: Sequence[str]) -> None:
    """Run the command `train`; exit with code 2 if a task or a name is wrong."""
    if arguments[:1] in (["--help"], ["-h"]):
        print(HELP)
        return
    try:
        runs = commands(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    if len(runs) > 1:
        run_all(runs)
    else:
        from lightning_modules.cli import main  # takes seconds

        main(runs[0])
