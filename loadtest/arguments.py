"""Adds the options that commands share, and reads the workload that they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from archives.serving.record import SERVERS
from archives.store import STORE
from loadtest.errors import LoadTestError
from loadtest.samples import TEXTS, Sample, mixed, read_golden, read_labels, read_texts
from loadtest.stages import Stage
from loadtest.target import Target, find_target
from loadtest.workload import RequestSet, Workload

REPORTS = Path(__file__).parent.parent / "runs" / "reports"


def add_workload(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is sent, and to which server."""
    parser.add_argument(
        "--model",
        nargs="+",
        required=True,
        metavar="NAME[=PART]",
        help="a model, or several with their parts of the requests: intent=3 qa=1",
    )
    parser.add_argument(
        "--texts", nargs="+", default=[], metavar="[NAME=]FILE", help=f"{TEXTS}; default: the golden requests"
    )
    parser.add_argument(
        "--lengths",
        choices=("golden", "mixed"),
        default="golden",
        help="`mixed` adds texts to the golden ones, most of them short and some long, as people write",
    )
    server = parser.add_argument_group("server", "default: the one that runs on this machine")
    server.add_argument("--port", type=int, help="of the server; needed only when several run")
    server.add_argument("--url", help="of a remote server, such as http://host:8080")
    server.add_argument("--token", help="inference key of a remote server")
    server.add_argument("--store", type=Path, default=STORE, help="folder of the models' archives")
    server.add_argument("--servers", type=Path, default=SERVERS, help="folder where servers keep their files")


def check_workload(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End the command with the parser's error where these options contradict each other."""
    if arguments.token and not arguments.url:
        parser.error("--token is for a remote server: give its --url too")
    if len(set(names(arguments.model))) < len(arguments.model):
        parser.error("--model names a model twice")
    for entry in arguments.model:
        _, separator, part = entry.partition("=")
        if separator:
            try:
                positive(part)
            except (ValueError, argparse.ArgumentTypeError):
                parser.error(f"--model {entry}: expected a number above 0 after =")


def workload_of(arguments: argparse.Namespace, stages: Sequence[Stage]) -> Workload:
    """Read the requests and find the server.

    Raises:
        LoadTestError: there is no server, no archive, or something is wrong with a file of texts.
    """
    models = names(arguments.model)
    files = _files(arguments.texts, models)
    if arguments.lengths == "mixed" and set(files) == set(models):
        raise LoadTestError("--lengths mixed adds to the golden texts, and --texts takes their place: leave one out")
    target = (
        Target(arguments.url.rstrip("/"), arguments.token)
        if arguments.url
        else find_target(arguments.port, arguments.servers)
    )
    sets = []
    for model in models:
        archive = arguments.store / f"{model}.mar"
        samples = _samples(files.get(model), archive, arguments.lengths)
        sets.append(RequestSet(target, model, samples, read_labels(archive)))
    parts = [float(entry.partition("=")[2] or 1) for entry in arguments.model]
    return Workload(sets, [part / sum(parts) for part in parts], list(stages))


def names(models: Sequence[str]) -> list[str]:
    """Return the models of --model without their parts."""
    return [entry.partition("=")[0] for entry in models]


def count(text: str) -> int:
    """Read an option's whole number of 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number of 1 or more")
    return value


def positive(text: str) -> float:
    """Read an option's number above 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text}: expected a number above 0")
    return value


def _samples(texts: Path | None, archive: Path, lengths: str) -> list[Sample]:
    if texts:
        return read_texts(texts)
    golden = read_golden(archive)
    return [*golden, *mixed(golden)] if lengths == "mixed" else golden


def _files(texts: Sequence[str], models: Sequence[str]) -> dict[str, Path]:
    """Return the files of --texts by model; a file without a name is the only model's."""
    files: dict[str, Path] = {}
    for entry in texts:
        name, separator, path = entry.partition("=")
        if not separator or name not in models:
            name, path = models[0], entry
            if len(models) > 1:
                raise LoadTestError(f"--texts {entry}: write NAME=FILE, with one of the models {', '.join(models)}")
        if name in files:
            raise LoadTestError(f"--texts {entry}: {name} is sent {files[name]}: put all of its texts into one file")
        files[name] = Path(path)
    return files
