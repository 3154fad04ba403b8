"""Train one student of a distillation as an ordinary run, unless that is done already."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch.loggers import Logger

from lightning_modules import tracking
from lightning_modules.cli import BundleCLI
from lightning_modules.comparison.measurements import Quality, quality_on_test
from lightning_modules.data.cache import fingerprints
from lightning_modules.export.checkpoints import Checkpoint
from lightning_modules.finish import best_checkpoint, evaluate, publish
from lightning_modules.text_files import read_json, write_json

DISTILLED, BASELINE = "distilled", "baseline"
# Options that set the kinds of students apart: the baseline learns from the labels alone.
KINDS = {BASELINE: ("--model.alpha=1.0",), DISTILLED: ()}
# Settings that a trained student does not depend on.
INDIFFERENT = ("seeds", "tune", "mlflow", "enable", "require_cuda")


class StudentCLI(BundleCLI):
    """Make one student in `<runs_dir>/<name>/students/`; in MLflow it is a run of the model `<name>`."""

    def mlflow_logger(self, name: str, runs_dir: str) -> Logger:
        model = Path(runs_dir).parent
        return tracking.make_logger(model.name, str(model.parent), run_name=name)


@dataclass(frozen=True)
class Student:
    """A trained student.

    Args:
        kind: `distilled` or `baseline`.
        seed: seed of its training.
        folder: its run folder.
        validation: best value of the monitored metric.
        quality: metrics on the test rows.
        missed: a sentence for each gate that it misses.
    """

    kind: str
    seed: int
    folder: Path
    validation: float
    quality: Quality
    missed: list[str]

    @property
    def export(self) -> Path:
        return self.folder / "export"


def make_student(args: Sequence[str], kind: str, seed: int, folder: Path) -> StudentCLI:
    """Return model, data and trainer of one student; its run folder is made below `folder`."""
    options = [f"--name={kind}-{seed}", f"--runs_dir={folder}", f"--seed_everything={seed}", *KINDS[kind]]
    return StudentCLI(args=[*args, *options], run=False)


def train_student(cli: StudentCLI, kind: str, seed: int, name: str, teacher: Checkpoint) -> Student | None:
    """Train, evaluate and export a student, or read what an earlier call with the same settings has left.

    Only the first process returns a student, the others None.

    Args:
        cli: as `make_student` returns it.
        kind: kind of the student.
        seed: seed of the student.
        name: name that its exported files carry, as the archive will.
        teacher: the student is trained again if its teacher has changed.
    """
    trainer, data = cli.trainer, cli.datamodule
    folder = Path(trainer.default_root_dir)
    path, key = folder / "student.json", student_key(cli, teacher)
    record = read_json(path) if path.is_file() else {}
    if record.get("key") != key:
        record = {"key": key}
        if trainer.is_global_zero:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_json(path, record)
    if "quality" not in record:
        last = folder / "checkpoints" / "last.ckpt"
        trainer.fit(cli.model, datamodule=data, ckpt_path=str(last) if last.is_file() else None)
        if not trainer.is_global_zero:
            return None
        gate, export = cli.config_init.gate, cli.config_init.export
        staged, missed = evaluate(trainer, cli.model, data, name=name, gate=gate, settings=export)
        publish(staged, folder / "export")
        score = best_checkpoint(trainer).best_model_score
        assert score is not None  # evaluate has loaded the best checkpoint
        quality = quality_on_test(folder / "export", data)
        record |= {"validation": float(score), "quality": quality, "missed": missed}
        write_json(path, record)
        shutil.rmtree(folder / "checkpoints")
    return Student(kind, seed, folder, record["validation"], record["quality"], record["missed"])


def student_key(cli: StudentCLI, teacher: Checkpoint) -> str:
    """Return a hash of the student's settings, teacher and rows: if it changes, the student has to be trained again."""
    settings = cli.config.clone()
    for name in INDIFFERENT:
        settings.pop(name, None)
    rows = fingerprints(cli.datamodule.tokenised)
    dumped = cli.parser.dump(settings, skip_unset=False, skip_validation=True)
    return hashlib.sha256(json.dumps([dumped, teacher.digest(), rows]).encode()).hexdigest()
