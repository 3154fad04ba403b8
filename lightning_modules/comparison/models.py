"""What a comparison is of: finished runs, exported folders, and checkpoints with a sequence-classification head."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_modules.comparison.figures import PIPELINES
from lightning_modules.errors import UserError
from lightning_modules.export.checkpoints import Checkpoint, export_checkpoint, export_folder, load_checkpoint
from lightning_modules.export.files import FILES
from lightning_modules.labels import label_difference
from lightning_modules.text_files import read_json


@dataclass(frozen=True)
class Model:
    """`folder` is the exported one, `config` that of its run; a checkpoint has neither, but is read already."""

    name: str
    task: str
    labels: tuple[str, ...]
    folder: Path | None = None
    config: Path | None = None
    max_length: int | None = None
    checkpoint: Checkpoint | None = None

    def exported(self, out: Path, max_length: int) -> Path:
        """The exported folder; a checkpoint is exported into `out`, to read `max_length` tokens at most."""
        if self.folder is not None:
            return self.folder
        assert self.checkpoint is not None
        return export_checkpoint(self.checkpoint, out / self.name.strip("/").replace("/", "--"), max_length)


def find_models(names: Sequence[str], runs_dir: Path) -> list[Model]:
    """Each a run `<runs_dir>/<name>`, a run's or an exported folder, a local folder in hub layout, or a hub name.

    Raises:
        UserError: there are fewer than two, one is not there or not exported, or their tasks or labels differ.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise UserError(f"--models {' '.join(names)}: give two or more, each once")
    models = [find_model(name, runs_dir) for name in names]
    first = models[0]
    for other in models[1:]:
        if other.task != first.task:
            raise UserError(f"{first.name} is a model for {first.task}, {other.name} for {other.task}: give one task's")
        if difference := label_difference(first.name, first.labels, other.name, other.labels):
            raise UserError(
                f"{first.name} and {other.name} have other labels ({difference}): "
                "they cannot be judged on the same rows"
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
    facts = read_json(folder / "metadata.json")
    lacking = [file for file in FILES.values() if not (folder / file).is_file()]
    if lacking or facts["task"] not in PIPELINES:
        what = f"lacks {', '.join(lacking)}" if lacking else f"is for {facts['task']}, which is unknown here"
        raise UserError(f"{folder} {what}: train the model again")
    config = folder.parent / "config.yaml"
    return Model(
        name,
        facts["task"],
        tuple(facts.get("labels", ())),
        folder,
        config if config.is_file() else None,
        facts["max_length"],
    )
