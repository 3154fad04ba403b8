"""`tune`: searches the best settings of a task.

python -m lightning_modules tune --config configs/sentiment.yaml --trials 20 [--storage URL] [options of fit]

The same command goes on with a study that was stopped, and further processes with the same command share it; on several
machines, each with `--storage`, such as postgresql://… With other data or settings it is refused, or, with `--anew`,
begins the study anew. Writes `<runs_dir>/<name>/tune/`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from lightning_modules import skipping
from lightning_modules.cli import SETTINGS, SettingsCLI, run_folder, skipped
from lightning_modules.errors import UserError
from lightning_modules.settings import Search
from lightning_modules.tuning.goal import goal_of
from lightning_modules.tuning.space import as_options


def tune(arguments: list[str]) -> None:
    """Runs the command with its arguments, those of `fit` included.

    Raises:
        UserError: a setting is wrong, the study was begun with others, or Optuna is not installed.
    """
    given, of_fit = _parser().parse_known_args(arguments)
    if given.trials < 1:
        raise UserError(f"--trials {given.trials}: give 1 or more")
    try:
        from lightning_modules.tuning.run import run
    except ModuleNotFoundError as error:
        raise UserError(f"tune needs the package {error.name}: make setup EXTRAS=tune") from error
    settings, search = parsed(of_fit)
    # Refuses unknown names, too.
    first, _ = parsed([*of_fit, *as_options({name: values.first for name, values in search.space.items()})])
    folder = Path(run_folder(settings["runs_dir"], settings["name"])) / "tune"
    if skipped(settings, "tune", folder):
        pass_on(folder / "best.yaml")
        return
    try:
        goal = goal_of(first, search)
        run(of_fit, settings, search, goal, folder, trials=given.trials, url=given.storage, anew=given.anew)
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on with the study")
    skipping.clear(folder)


def pass_on(best: Path) -> None:
    """A `fit` with the settings of a search that was skipped skips too, unless an earlier search has left some."""
    if not best.exists():
        best.write_text("# There was no search: see skipped.json.\nenable: false\n", encoding="utf-8")


def parsed(of_fit: list[str]) -> tuple[Any, Search]:
    """The settings of `fit`, and what to search."""
    settings = SettingsCLI(args=of_fit, run=False, **SETTINGS).settings
    parser = ArgumentParser()
    parser.add_class_arguments(Search, "tune")
    search: Search = parser.instantiate(parser.parse_object({"tune": settings["tune"]})).tune
    if not search.space:
        raise UserError("there is nothing to search: give tune.space in the task's YAML, as in configs/sentiment.yaml")
    return settings, search


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_modules tune",
        description="Search the best settings; options beside these are those of fit, --config among them.",
        allow_abbrev=False,
    )
    parser.add_argument("--trials", type=int, default=20, help="of the whole study, over all processes [20]")
    parser.add_argument("--storage", help="a database's URL, for several machines [study.db in the study's folder]")
    parser.add_argument("--anew", action="store_true", help="drop a study that other data or settings began [refuse]")
    return parser
