"""Find the models to compare: finished runs, exported folders, and checkpoints for sequence classification."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_modules.comparison.measurements import PIPELINES
from lightning_modules.errors import UserError
from lightning_modules.export.checkpoints import Checkpoint, export_checkpoint, export_folder, load_checkpoint
from lightning_modules.export.files import FILES
from lightning_modules.labels import label_difference
from lightning_modules.text_files import read_json


@dataclass(frozen=True)
class Model:
    """A model to compare: an exported `folder` with the `config` of its run, or else a loaded `checkpoint`."""

    name: str
    task: str
    labels: tuple[str, ...]
    folder: Path | None = None
    config: Path | None = None
    max_length: int | None = None
    checkpoint: Checkpoint | None = None

    def exported(self, out: Path, max_length: int) -> Path:
        """Return the exported folder; a checkpoint is exported below `out`, to read at most `max_length` tokens."""
        if self.folder is not None:
            return self.folder
        assert self.checkpoint is not None
        return export_checkpoint(self.checkpoint, out / self.name.strip("/").replace("/", "--"), max_length)


def find_models(names: Sequence[str], runs_dir: Path) -> list[Model]:
    """Return the model of each name: `<runs_dir>/<name>`, a run or exported folder, one in hub layout, or a hub name.

    Raises:
        UserError: there are fewer than two, one is missing or not exported, or their tasks or labels differ.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise UserError(f"--models {' '.join(names)}: give two or more, each once")
    models = [find_model(name, runs_dir) for name in names]
    first = models[0]
    for other in models[1:]:
        if other.task != first.task:
            raise UserError(
                f"{first.name} is a model for {first.task}, {other.name} for {other.task}: choose models of one task"
            )
        if difference := label_difference(first.name, first.labels, other.name, other.labels):
            raise UserError(
                f"{first.name} and {other.name} have different labels ({difference}): "
                "they cannot be evaluated on the same rows"
            )
    return models


def find_model(name: str, runs_dir: Path) -> Model:
    run = next((path for path in (runs_dir / name, Path(name).expanduser()) if path.is_dir()), None)
    folder = export_folder(run) if run else None
    if folder is not None:
        return _exported(name, folder)
    if run is not None and not (run / "config.json").is_file():
        raise UserError(f"{run} has no exported model: train it first, make train TASK={run.name}")
    try:
        checkpoint = load_checkpoint(name)
    except UserError as error:
        raise UserError(f"{name} is no finished run in {runs_dir}, and no checkpoint to compare: {error}") from error
    return Model(name, "text-classification", checkpoint.labels, checkpoint=checkpoint)


def _exported(name: str, folder: Path) -> Model:
    metadata = read_json(folder / "metadata.json")
    missing = [file for file in FILES.values() if not (folder / file).is_file()]
    if missing or metadata["task"] not in PIPELINES:
        problem = f"lacks {', '.join(missing)}" if missing else f"is for {metadata['task']}, which is unknown here"
        raise UserError(f"{folder} {problem}: train the model again")
    config = folder.parent / "config.yaml"
    return Model(
        name,
        metadata["task"],
        tuple(metadata.get("labels", ())),
        folder,
        config if config.is_file() else None,
        metadata["max_length"],
    )
