"""`tune`: search the best settings of a task.

python -m lightning_modules tune --config configs/sentiment.yaml --trials 20 [--storage URL] [options of fit]

The same command resumes a study that was stopped, and further processes with the same command share it; on several
machines, each with `--storage`, such as postgresql://… With other data or settings it is refused, or, with `--anew`,
starts the study anew. Writes `<runs_dir>/<name>/tune/`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from lightning_modules import skipping
from lightning_modules.cli import SettingsCLI, run_folder, skipped
from lightning_modules.errors import UserError
from lightning_modules.settings import Search
from lightning_modules.tuning.definition import as_options, study_definition


def tune(arguments: list[str]) -> None:
    """Run the command with its arguments, those of `fit` included.

    Raises:
        UserError: a setting is wrong, the study was started with others, or Optuna is not installed.
    """
    options, fit_arguments = _parser().parse_known_args(arguments)
    if options.trials < 1:
        raise UserError(f"--trials {options.trials}: give 1 or more")
    try:
        from lightning_modules.tuning.search import run_search
    except ModuleNotFoundError as error:
        raise UserError(f"tune needs the package {error.name}: make setup EXTRAS=tune") from error
    settings, search = parse_settings(fit_arguments)
    # Refuses unknown names, too.
    first_values = as_options({name: values.first for name, values in search.space.items()})
    of_first_values, _ = parse_settings([*fit_arguments, *first_values])
    folder = Path(run_folder(settings["runs_dir"], settings["name"])) / "tune"
    if skipped(settings, "tune", folder):
        skip_fit_too(folder / "best.yaml")
        return
    try:
        run_search(
            fit_arguments,
            settings,
            search,
            study_definition(of_first_values, search),
            folder,
            trials=options.trials,
            url=options.storage,
            anew=options.anew,
        )
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on with the study")
    skipping.clear(folder)


def skip_fit_too(best: Path) -> None:
    """Make a `fit` with the settings of a skipped search skip as well, unless an earlier search has left some."""
    if not best.exists():
        best.write_text("# There was no search: see skipped.json.\nenable: false\n", encoding="utf-8")


def parse_settings(fit_arguments: list[str]) -> tuple[Any, Search]:
    """Return the settings of `fit`, and what to search."""
    settings = SettingsCLI(args=fit_arguments, run=False).settings
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
    parser.add_argument("--trials", type=int, default=20, help="trials of the whole study, over all processes [20]")
    parser.add_argument("--storage", help="URL of a database, for several machines [study.db in the study's folder]")
    parser.add_argument("--anew", action="store_true", help="replace a study with other data or settings [refuse]")
    return parser
