"""What follows training: evaluate the best checkpoint, export it, compare the forms, report, and hold the gates."""

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

from lightning_modules.callbacks.history import History
from lightning_modules.callbacks.throughput import Throughput
from lightning_modules.errors import UserError
from lightning_modules.export import files
from lightning_modules.export.parity import compare_forms, torch_outputs
from lightning_modules.models.classifier import Classifier
from lightning_modules.models.fine_tuner import FineTuner
from lightning_modules.models.question_answering import QuestionAnswering
from lightning_modules.settings import Export, Gate
from lightning_modules.tasks.classification import ClassificationTask
from lightning_modules.tasks.question_answering import QuestionTask
from lightning_modules.tasks.task import Task
from lightning_modules.text_files import write_json

AnyCallback = TypeVar("AnyCallback", bound=Callback)
TASKS: dict[type[FineTuner], type[Task]] = {Classifier: ClassificationTask, QuestionAnswering: QuestionTask}


def task_of(model: FineTuner) -> type[Task]:
    """What evaluates and exports this model."""
    return task_for(type(model))


def task_for(kind: type[FineTuner]) -> type[Task]:
    """What evaluates and exports models of this class."""
    return next(task for base, task in TASKS.items() if issubclass(kind, base))


def finish(trainer: Trainer, model: FineTuner, data: Any, *, name: str, gate: Gate, settings: Export) -> list[str]:
    """Writes `report/` and, when every gate holds, `export/` in the run folder; returns the missed gates' sentences."""
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
    """Writes `report/` in the run folder, and the whole export beside it under the name of unfinished work.

    Returns the folder of that export, and the missed gates' sentences.
    """
    folder = Path(trainer.default_root_dir)
    load_best(trainer, model)
    model.network.eval().to(trainer.strategy.root_device)
    task = task_of(model)(model, data)
    outputs = torch_outputs(task.network, task.rows)
    if not all(np.isfinite(row).all() for values in outputs.values() for row in values):
        raise UserError("training diverged: the model answers no numbers; lower --model.learning_rate")
    task.calibrate(partial(torch_outputs, task.network))

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

    verdict = gate.verdict(task.metrics(outputs), missed_limits)
    extras = {
        "gate": verdict,
        "comparison": [{"form": form, **row} for form, row in table.items()],
        "history": found(trainer, History).records,
        "profile": profile(trainer),
        "training": training_facts(trainer, model),
        "data": data.summary(),
    }
    task.report(folder / "report", name, outputs, extras)
    print(f"report: {folder / 'report' / 'report.html'}")
    files.write_golden(staged, task.pipeline_class, task.requests())
    files.write_metadata(staged, {**metadata, "metrics": table})
    return staged, list(verdict["missed"])


def load_best(trainer: Trainer, model: FineTuner) -> None:
    """Puts the best checkpoint's weights into the model."""
    path = best_checkpoint(trainer).best_model_path
    if not path:
        raise UserError("no best checkpoint was kept: training has to reach a validation, and to save one")
    if not Path(path).is_file():
        raise UserError(f"the best checkpoint {path} is not there any more: put it back, or train anew")
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    model.load_state_dict(checkpoint["state_dict"])


def best_checkpoint(trainer: Trainer) -> ModelCheckpoint:
    """The one that keeps the best; another keeps the last."""
    return next(c for c in callbacks(trainer) if isinstance(c, ModelCheckpoint) and c.monitor)


def profile(trainer: Trainer) -> dict[str, Any]:
    """Speed of training, padding, and the process' peak of memory."""
    gigabyte = 1 << 30
    # Linux counts in kilobytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    facts = {**found(trainer, Throughput).figures, "peak_memory_gb": round(resident / gigabyte, 2)}
    if trainer.strategy.root_device.type == "cuda":
        facts["peak_gpu_memory_gb"] = round(torch.cuda.max_memory_allocated() / gigabyte, 2)
    return facts


def found(trainer: Trainer, kind: type[AnyCallback]) -> AnyCallback:
    return next(callback for callback in callbacks(trainer) if isinstance(callback, kind))


def callbacks(trainer: Trainer) -> list[Callback]:
    present: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    return present


def training_facts(trainer: Trainer, model: FineTuner) -> dict[str, Any]:
    """The model's settings, and where and how it was trained."""
    shown = {key: value for key, value in model.hparams.items() if not isinstance(value, tuple | list)}
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    facts = {"parameters": parameters, "precision": str(trainer.precision), "device": str(trainer.strategy.root_device)}
    return {**facts, "epochs": trainer.current_epoch, "model": shown}


def publish(staged: Path, target: Path) -> None:
    """Replaces the exported folder of an earlier run."""
    shutil.rmtree(target, ignore_errors=True)
    staged.rename(target)
