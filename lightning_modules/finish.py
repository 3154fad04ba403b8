"""Finish a training: evaluate and export the best checkpoint, compare the forms, report, and check the gates."""

import resource
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_modules.callbacks.history import History, Throughput
from lightning_modules.errors import UserError
from lightning_modules.export import files
from lightning_modules.export.parity import compare_forms, torch_outputs
from lightning_modules.models.classifier import Classifier
from lightning_modules.models.fine_tuner import FineTuner
from lightning_modules.models.question_answering import QuestionAnswering
from lightning_modules.settings import Export, Gate
from lightning_modules.stages import STAGES
from lightning_modules.tasks.classification import ClassificationTask
from lightning_modules.tasks.question_answering import QuestionTask
from lightning_modules.tasks.task import Task
from lightning_modules.text_files import write_json

AnyCallback = TypeVar("AnyCallback", bound=Callback)
TASKS: dict[type[FineTuner], type[Task]] = {Classifier: ClassificationTask, QuestionAnswering: QuestionTask}


def task_for(model_class: type[FineTuner]) -> type[Task]:
    """Return the task that evaluates and exports models of this class."""
    return next(task for base, task in TASKS.items() if issubclass(model_class, base))


def finish(trainer: Trainer, model: FineTuner, data: Any, *, name: str, gate: Gate, settings: Export) -> list[str]:
    """Write `report/` and, if every gate is met, `export/` in the run folder; return a sentence for each miss."""
    staged, missed = evaluate(trainer, model, data, name=name, gate=gate, settings=settings)
    target = staged.with_name("export")
    if missed:
        shutil.rmtree(staged)
        return [*missed, *([f"{target} is still an earlier run's"] if target.exists() else [])]
    publish(staged, target)
    print(f"exported: {target}")
    return []


def evaluate(
    trainer: Trainer, model: FineTuner, data: Any, *, name: str, gate: Gate, settings: Export
) -> tuple[Path, list[str]]:
    """Write `report/` in the run folder, and the complete export beside it as `export.partial`.

    Returns the folder of that export, and a sentence for each missed gate.
    """
    STAGES.begin("evaluation")
    folder = Path(trainer.default_root_dir)
    load_best(trainer, model)
    model.network.eval().to(trainer.strategy.root_device)
    task = task_for(type(model))(model, data)
    outputs = torch_outputs(task.network, task.rows)
    if not all(np.isfinite(row).all() for values in outputs.values() for row in values):
        raise UserError("training diverged: the model's outputs are not numbers; lower --model.learning_rate")
    task.calibrate(partial(torch_outputs, task.network))

    STAGES.begin("export")
    staged = folder / "export.partial"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    files.write_model(staged, task.network, task.tokenizer_json, max_length=data.max_length, opset=settings.opset)
    for file, content in task.files().items():
        write_json(staged / file, content)
    metadata = files.model_metadata(
        name=name, version=settings.version, task=task.kind, backbone=data.backbone, task_metadata=task.metadata
    )
    files.write_metadata(staged, metadata)
    table, missed_limits = compare_forms(staged, task, outputs, settings)

    STAGES.begin("report")
    verdict = gate.verdict(task.metrics(outputs), missed_limits)
    extras = {
        "gate": verdict,
        "comparison": [{"form": form, **row} for form, row in table.items()],
        "history": callback_of(trainer, History).records,
        "profile": profile(trainer),
        "training": training_settings(trainer, model),
        "data": data.summary(),
    }
    task.report(folder / "report", name, outputs, extras)
    print(f"report: {folder / 'report' / 'report.html'}")
    files.write_golden(staged, task.pipeline_class, task.requests())
    files.write_metadata(staged, {**metadata, "metrics": table})
    return staged, list(verdict["missed"])


def load_best(trainer: Trainer, model: FineTuner) -> None:
    """Load the weights of the best checkpoint into the model."""
    path = best_checkpoint(trainer).best_model_path
    if not path:
        raise UserError("no best checkpoint was saved: training must run until its first validation")
    if not Path(path).is_file():
        raise UserError(f"the best checkpoint {path} is not there any more: put it back, or train anew")
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    model.load_state_dict(checkpoint["state_dict"])


def best_checkpoint(trainer: Trainer) -> ModelCheckpoint:
    """Return the callback that saves the best checkpoint; a second callback saves the last one."""
    return next(c for c in callbacks(trainer) if isinstance(c, ModelCheckpoint) and c.monitor)


def profile(trainer: Trainer) -> dict[str, Any]:
    """Return the speed of the training, its padding, and the peak memory of the process."""
    gigabyte = 1 << 30
    # Linux reports kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    metrics = {**callback_of(trainer, Throughput).metrics, "peak_memory_gb": round(resident / gigabyte, 2)}
    if trainer.strategy.root_device.type == "cuda":
        metrics["peak_gpu_memory_gb"] = round(torch.cuda.max_memory_allocated() / gigabyte, 2)
    return metrics


def callback_of(trainer: Trainer, kind: type[AnyCallback]) -> AnyCallback:
    return next(callback for callback in callbacks(trainer) if isinstance(callback, kind))


def callbacks(trainer: Trainer) -> list[Callback]:
    """Return the trainer's own list of callbacks."""
    present: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    return present


def training_settings(trainer: Trainer, model: FineTuner) -> dict[str, Any]:
    """Return the model's settings and size, and the device, precision and epochs of its training."""
    return {
        "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        "precision": str(trainer.precision),
        "device": str(trainer.strategy.root_device),
        "epochs": trainer.current_epoch,
        "model": {key: value for key, value in model.hparams.items() if not isinstance(value, tuple | list)},
    }


def publish(staged: Path, target: Path) -> None:
    """Move the finished export into place, replacing that of an earlier run."""
    shutil.rmtree(target, ignore_errors=True)
    staged.rename(target)
