"""`distil`: train students on the labels alone and with a teacher, compare them, and export the best distilled one.

python -m lightning_modules distil --config configs/student.yaml --seeds 0 1 2

Every student is an ordinary run in `<runs_dir>/<name>/students/<kind>-<seed>/`, trained and exported as by `fit`; only
its checkpoints are removed once it is done. A finished student is not trained again unless its settings, its data or
its teacher have changed; an interrupted one resumes after its last whole epoch.
"""

import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_modules import skipping, tracking
from lightning_modules.cli import SettingsCLI, record_skip, run_folder, skipped, write_config
from lightning_modules.comparison.measurements import comparison_rows, quality_on_test
from lightning_modules.data.classification import ClassificationData
from lightning_modules.distillation.distiller import Distiller
from lightning_modules.distillation.student import BASELINE, DISTILLED, KINDS, Student, make_student, train_student
from lightning_modules.errors import UserError
from lightning_modules.evaluation.comparison_report import gains, print_table, write_comparison
from lightning_modules.export.checkpoints import Checkpoint, export_checkpoint, load_checkpoint
from lightning_modules.finish import publish


def distil(args: list[str]) -> None:
    """Run the command with its arguments; exit with 1 if the best distilled student misses a gate.

    Raises:
        UserError: a setting is wrong.
    """
    command = SettingsCLI(args=args, run=False)
    settings = command.settings
    check_settings(settings)
    if skipped(settings, "distil") or teacher_skipped(settings):
        return
    folder = Path(run_folder(settings.runs_dir, settings.name))
    teacher = load_checkpoint(settings.model.init_args.teacher, "teacher")
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)  # else every student lists the devices
    runs = [(kind, seed) for seed in settings.seeds for kind in KINDS]
    students: list[Student] = []
    for number, (kind, seed) in enumerate(runs, 1):
        print(f"{kind} student, seed {seed} ({number} of {len(runs)})")
        cli = make_student(args, kind, seed, folder / "students")
        if number == 1:
            cli.print_notes()
        student = train_student(cli, kind, seed, settings.name, teacher)
        students += [student] if student else []
    if not cli.trainer.is_global_zero:
        return
    best = best_of_each_kind(students, settings.early_stopping.mode)
    write_config(command.parser, command.config, folder)
    copy_over(best[DISTILLED].folder / "report", folder / "report")
    write_report(folder, settings, teacher, students, best, cli.datamodule)
    missed = export_student(best[DISTILLED], folder / "export")
    if not missed:
        skipping.clear(folder)
    if settings.mlflow:
        log_to_mlflow(settings, folder, best[DISTILLED], passed=not missed)
    if missed:
        sys.exit("gate: " + "; ".join(missed))


def check_settings(settings: Any) -> None:
    """Refuse settings that do not describe a distillation."""
    kind = settings.model.class_path
    if not kind.endswith(f".{Distiller.__name__}"):
        raise UserError(
            f"distil trains lightning_modules.distillation.distiller.Distiller, but model.class_path is {kind}"
        )
    if not settings.seeds or len(set(settings.seeds)) < len(settings.seeds):
        raise UserError(f"seeds are {settings.seeds}: give one or more, each once")


def teacher_skipped(settings: Any) -> bool:
    """Tell whether the teacher's run was skipped, and record that its student is too: an earlier export is not used."""
    teacher = settings.model.init_args.teacher
    reason = skipping.why_skipped(Path(teacher))
    if reason is not None:
        record_skip(settings, "distil", f"its teacher {teacher} was skipped ({reason})")
    return reason is not None


def best_of_each_kind(students: Sequence[Student], mode: str) -> dict[str, Student]:
    """Return the student of each kind with the highest (mode `max`) or lowest (`min`) validation metric."""
    best = max if mode == "max" else min
    return {kind: best((s for s in students if s.kind == kind), key=lambda s: s.validation) for kind in KINDS}


def write_report(
    folder: Path,
    settings: Any,
    teacher: Checkpoint,
    students: Sequence[Student],
    best: Mapping[str, Student],
    data: ClassificationData,
) -> None:
    """Write the comparison into `report/`; speed and size are those of the best student of each kind."""
    teacher_folder = export_checkpoint(teacher, folder / "teacher", data.max_length)
    models = {"teacher": teacher_folder} | {kind: student.export for kind, student in best.items()}
    quality = {"teacher": [quality_on_test(teacher_folder, data)]}
    quality |= {kind: [student.quality for student in students if student.kind == kind] for kind in KINDS}
    test = data.splits["test"].rows
    rows = comparison_rows(models, quality, test["text"][:])
    write_comparison(
        folder / "report",
        settings.name,
        rows,
        gains=gains(rows, DISTILLED, BASELINE),
        details={
            "teacher": teacher.name,
            "seeds": list(settings.seeds),
            "test_rows": len(test),
            "alpha": settings.model.init_args.alpha,
            "temperature": settings.model.init_args.temperature,
            "chosen_seed": best[DISTILLED].seed,
        },
    )
    print_table(rows)
    print(f"comparison: {folder / 'report' / 'comparison.html'}")


def export_student(student: Student, target: Path) -> list[str]:
    """Make the student's export that of the model, unless it misses a gate; return a sentence for each missed gate."""
    if student.missed:
        return [*student.missed, *([f"{target} is still an earlier run's"] if target.exists() else [])]
    copy_over(student.export, target)
    print(f"exported: {target}, the distilled student of seed {student.seed}, the best one on validation")
    return []


def log_to_mlflow(settings: Any, folder: Path, student: Student, *, passed: bool) -> None:
    """Log a run beside those of the students, with the comparison and the exported model."""
    logger = tracking.make_logger(settings.name, settings.runs_dir, run_name="distil")
    logger.log_hyperparams({**settings.model.init_args.as_dict(), "seeds": settings.seeds, "chosen_seed": student.seed})
    tracking.publish(logger, settings.name, folder, passed=passed)
    logger.finalize("success")


def copy_over(source: Path, target: Path) -> None:
    """Replace the folder `target` by a copy of `source`, in one step."""
    staged = target.with_name(f"{target.name}.partial")
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(source, staged)
    publish(staged, target)
