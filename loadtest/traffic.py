"""What the command line asks to send, where, and what has to come back."""

from __future__ import annotations

import argparse
from pathlib import Path

from loadtest.arguments import names
from loadtest.errors import LoadTestError
from loadtest.lengths import mixed
from loadtest.plan import Job, Plan
from loadtest.samples import Sample, read_golden, read_labels, read_texts
from loadtest.stages import Stage
from loadtest.target import Target, find_target


def job_of(arguments: argparse.Namespace, stages: list[Stage]) -> Job:
    """Raises LoadTestError."""
    models = names(arguments.model)
    files = _files(arguments.texts, models)
    if arguments.lengths == "mixed" and set(files) == set(models):
        raise LoadTestError("--lengths mixed adds to the golden texts, and --texts takes their place: leave one out")
    target = (
        Target(arguments.url.rstrip("/"), arguments.token)
        if arguments.url
        else find_target(arguments.port, arguments.servers)
    )
    plans = []
    for model in models:
        archive = arguments.store / f"{model}.mar"
        samples = _samples(files.get(model), archive, arguments.lengths)
        plans.append(Plan(target, model, samples, read_labels(archive)))
    parts = [float(entry.partition("=")[2] or 1) for entry in arguments.model]
    return Job(plans, [part / sum(parts) for part in parts], stages)


def _samples(texts: Path | None, archive: Path, lengths: str) -> list[Sample]:
    if texts:
        return read_texts(texts)
    golden = read_golden(archive)
    return [*golden, *mixed(golden)] if lengths == "mixed" else golden


def _files(texts: list[str], models: list[str]) -> dict[str, Path]:
    """By model; a file without a name is the only model's."""
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
