"""`distil`: trains students on the labels alone and with a teacher, compares them, and delivers the best distilled one.

python -m lightning_modules distil --config configs/student.yaml --seeds 0 1 2

Every student is an ordinary run in `<runs_dir>/<name>/students/<kind>-<seed>/`, trained and exported as by `fit`; only
its checkpoints are removed when it is done. A student that is done is not trained again unless its settings, its data
or its teacher have changed; one that was interrupted goes on where its last epoch ended.
"""

import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from lightning_modules import skipping, tracking
from lightning_modules.cli import SETTINGS, BundleCLI, SettingsCLI, record_skip, run_folder, skipped, write_config
from lightning_modules.comparison.figures import comparison_rows, judged
from lightning_modules.data.classification import ClassificationData
from lightning_modules.data.token_cache import fingerprints
from lightning_modules.distillation.distiller import Distiller
from lightning_modules.errors import UserError
from lightning_modules.evaluation.comparison_report import gains, print_table, write_comparison
from lightning_modules.export.checkpoints import Checkpoint, export_checkpoint, load_checkpoint
from lightning_modules.finish import best_checkpoint, evaluate, publish
from lightning_modules.text_files import read_json, write_json

DISTILLED, BASELINE = "distilled", "baseline"
# What each kind changes in the settings: the baseline never hears of the teacher's answers.
KINDS = {BASELINE: ("--model.alpha=1.0",), DISTILLED: ()}


class StudentCLI(BundleCLI):
    """One student in `<runs_dir>/<name>/students/`; for MLflow, a run of the model that all of them are made for."""

    def mlflow_logger(self, name: str, runs_dir: str) -> Logger:
        model = Path(runs_dir).parent
        return tracking.make_logger(model.name, str(model.parent), run_name=name)


@dataclass(frozen=True)
class Student:
    """A trained one: its best validation figure, its test figures by form (`judged`), its missed gates."""

    kind: str
    seed: int
    folder: Path
    validation: float
    figures: dict[str, dict[str, float]]
    missed: list[str]

    @property
    def export(self) -> Path:
        return self.folder / "export"


def distil(args: list[str]) -> None:
    """Exit code 1 when the chosen student misses a gate; raises `UserError` for what a person can mend."""
    command = SettingsCLI(args=args, run=False, **SETTINGS)
    settings = command.settings
    check(settings)
    if skipped(settings, "distil") or without_teacher(settings):
        return
    folder = Path(run_folder(settings.runs_dir, settings.name))
    teacher = load_checkpoint(settings.model.init_args.teacher, "teacher")
    for logger in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(logger).setLevel(logging.WARNING)  # they would tell the same of every student
    plan = [(kind, seed) for seed in settings.seeds for kind in KINDS]
    students = []
    for i, (kind, seed) in enumerate(plan, 1):
        print(f"{kind} student, seed {seed} ({i} of {len(plan)})")
        made = make(args, kind, seed, folder / "students")
        if i == 1:
            made.tell_notes()
        students.append(trained(made, kind, seed, settings.name, teacher))
    if not made.trainer.is_global_zero:
        return
    done = [student for student in students if student is not None]
    best = max if settings.early_stopping.mode == "max" else min
    chosen = {kind: best((s for s in done if s.kind == kind), key=lambda s: s.validation) for kind in KINDS}
    write_config(command.parser, command.config, folder)
    replace(chosen[DISTILLED].folder / "report", folder / "report")
    compare(folder, settings, teacher, done, chosen, made.datamodule)
    missed = deliver(chosen[DISTILLED], folder / "export")
    if not missed:
        skipping.clear(folder)
    if settings.mlflow:
        track(settings, folder, chosen[DISTILLED], passed=not missed)
    if missed:
        sys.exit("gate: " + "; ".join(missed))


def without_teacher(settings: Any) -> bool:
    """Whether the teacher is a run that was skipped, and its student is therefore; an earlier export is not taken."""
    teacher = settings.model.init_args.teacher
    why = skipping.why_skipped(Path(teacher))
    if why is not None:
        record_skip(settings, "distil", f"its teacher {teacher} was skipped ({why})")
    return why is not None


def check(settings: Any) -> None:
    """Raises `UserError` for settings that are no distillation's."""
    kind = settings.model.class_path
    if not kind.endswith(f".{Distiller.__name__}"):
        raise UserError(
            f"distil trains lightning_modules.distillation.distiller.Distiller, but model.class_path is {kind}"
        )
    if not settings.seeds or len(set(settings.seeds)) < len(settings.seeds):
        raise UserError(f"seeds are {settings.seeds}: give one or more, each once")


def make(args: Sequence[str], kind: str, seed: int, runs: Path) -> BundleCLI:
    """Model, data and trainer of one student, by the settings of all of them and its own."""
    own = [f"--name={kind}-{seed}", f"--runs_dir={runs}", f"--seed_everything={seed}", *KINDS[kind]]
    return StudentCLI(args=[*args, *own], run=False, **SETTINGS)


def trained(made: BundleCLI, kind: str, seed: int, name: str, teacher: Checkpoint) -> Student | None:
    """Trains, evaluates and exports a student, if that is not done yet; its files say `name`, as the archive will.

    None on other processes than the first.
    """
    trainer, data = made.trainer, made.datamodule
    folder = Path(trainer.default_root_dir)
    record, key = folder / "student.json", identity(made, teacher)
    known = read_json(record) if record.is_file() else {}
    if known.get("key") != key:
        known = {"key": key}
        if trainer.is_global_zero:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_json(record, known)
    if "figures" not in known:
        last = folder / "checkpoints" / "last.ckpt"
        trainer.fit(made.model, datamodule=data, ckpt_path=str(last) if last.is_file() else None)
        if not trainer.is_global_zero:
            return None
        gate, export = made.config_init.gate, made.config_init.export
        staged, missed = evaluate(trainer, made.model, data, name=name, gate=gate, settings=export)
        publish(staged, folder / "export")
        score = best_checkpoint(trainer).best_model_score
        assert score is not None  # evaluate has loaded the best checkpoint
        known["validation"] = float(score)
        known["figures"] = judged(folder / "export", data)
        known["missed"] = missed
        write_json(record, known)
        shutil.rmtree(folder / "checkpoints")
    return Student(kind, seed, folder, known["validation"], known["figures"], known["missed"])


def identity(made: BundleCLI, teacher: Checkpoint) -> str:
    """Of a student's settings, its teacher and its rows: when it changes, the student has to be trained anew."""
    settings = made.config.clone()
    for key in ("seeds", "tune", "mlflow", "enable", "require_cuda"):  # the student is the same, whatever these are
        settings.pop(key, None)
    rows = fingerprints(made.datamodule.tokenised)
    dumped = made.parser.dump(settings, skip_none=False, skip_validation=True)
    return hashlib.sha256(json.dumps([dumped, teacher.digest(), rows]).encode()).hexdigest()


def compare(
    folder: Path,
    settings: Any,
    teacher: Checkpoint,
    students: Sequence[Student],
    chosen: Mapping[str, Student],
    data: ClassificationData,
) -> None:
    """Writes the comparison into `report/`; speed and size are those of the best student of each kind."""
    exported = export_checkpoint(teacher, folder / "teacher", data.max_length)
    models = {"teacher": exported} | {kind: student.export for kind, student in chosen.items()}
    figures = {"teacher": [judged(exported, data)]}
    figures |= {kind: [student.figures for student in students if student.kind == kind] for kind in KINDS}
    init = settings.model.init_args
    rows = comparison_rows(models, figures, data.tables["test"].rows["text"][:])
    write_comparison(
        folder / "report",
        settings.name,
        rows,
        gains=gains(rows, DISTILLED, BASELINE),
        details={
            "teacher": teacher.name,
            "seeds": list(settings.seeds),
            "test_rows": len(data.tables["test"].rows),
            "alpha": init.alpha,
            "temperature": init.temperature,
            "chosen_seed": chosen[DISTILLED].seed,
        },
    )
    print_table(rows)
    print(f"comparison: {folder / 'report' / 'comparison.html'}")


def deliver(student: Student, target: Path) -> list[str]:
    """The chosen student's export becomes the model's, unless it misses a gate: returns the missed gates' sentences."""
    if student.missed:
        return [*student.missed, *([f"{target} is still an earlier run's"] if target.exists() else [])]
    replace(student.export, target)
    print(f"exported: {target}, the distilled student of seed {student.seed}, the best one on validation")
    return []


def track(settings: Any, folder: Path, student: Student, *, passed: bool) -> None:
    """A run in MLflow of its own, beside those of the students, with the comparison and the delivered model."""
    logger = tracking.make_logger(settings.name, settings.runs_dir, run_name="distil")
    logger.log_hyperparams({**settings.model.init_args.as_dict(), "seeds": settings.seeds, "chosen_seed": student.seed})
    tracking.publish(logger, settings.name, folder, passed=passed)
    logger.finalize("success")


def replace(source: Path, target: Path) -> None:
    """Puts a copy of a folder in the place of an earlier run's."""
    staged = target.with_name(f"{target.name}.partial")
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(source, staged)
    publish(staged, target)
