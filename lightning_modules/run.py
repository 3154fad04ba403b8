"""What follows training: evaluate the best checkpoint, export it, compare the forms, report, and hold the gates."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from numpy.typing import NDArray

from handlers.pipeline import ClassificationPipeline
from handlers.text.scores import softmax
from lightning_modules import export
from lightning_modules.baseline import baseline_figures
from lightning_modules.classification_data import ClassificationData
from lightning_modules.classifier import IGNORED, Classifier
from lightning_modules.evaluation.gate import Gate
from lightning_modules.evaluation.metrics import Predictions, classification_metrics
from lightning_modules.evaluation.report import write_report
from lightning_modules.forms import (
    Logits,
    Row,
    missed_parity,
    onnx_logits,
    quality,
    size_mb,
    speed,
    torch_logits,
)
from lightning_modules.history import History
from lightning_modules.settings import Export


def finish(
    trainer: Trainer, model: Classifier, data: ClassificationData, *, name: str, gate: Gate, settings: Export
) -> list[str]:
    """Writes `report/` and, when every gate holds, `export/` in the run folder; returns the missed gates' sentences."""
    folder = Path(trainer.default_root_dir)
    load_best(trainer, model)
    rows = list(data.tokenised["test"]["input_ids"])
    logits = torch_logits(model.network.eval(), rows)

    staged = folder / "export.partial"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    export.write_model(staged, model.network, data.tokenizer_json, settings.opset)
    export.write_labels(staged, data.labels, data.complexity_labels)
    facts = export.facts(
        name=name,
        version=settings.version,
        backbone=data.backbone,
        pooling=model.network.pool.kind,
        layer_norm=isinstance(model.network.norm, torch.nn.LayerNorm),
        encoder=data.encoder,
        labels=data.labels,
    )
    export.write_metadata(staged, facts)
    checked = rows[: settings.check_rows]
    table = compare_forms(staged, model, {key: values[: len(checked)] for key, values in logits.items()}, checked, data)

    intent = predictions(data, logits["logits"], data.labels, "target")
    rated = bool(data.complexity_labels) and max(data.tokenised["test"]["complexity_target"]) != IGNORED
    complexity = (
        predictions(data, logits["complexity_logits"], data.complexity_labels, "complexity_target") if rated else None
    )
    misses = gate.check(classification_metrics(intent)) + missed_parity(table, len(checked), settings)
    write_report(
        folder / "report",
        name,
        intent,
        complexity,
        extras={
            "gate": {"passed": not misses, "required": gate.required, "missed": misses},
            "comparison": [{"form": form, **row} for form, row in table.items()],
            "baseline": baseline_figures(data.tables["train"].rows, data.tables["test"].rows),
            "history": history(trainer),
            "training": training_facts(trainer, model),
            "data": data.summary(),
        },
    )
    print(f"report: {folder / 'report' / 'report.html'}")
    if misses:
        return misses
    export.write_golden(staged, data.tables["test"].rows["text"])
    export.write_metadata(staged, {**facts, "metrics": table})
    publish(staged, folder / "export")
    print(f"exported: {folder / 'export'}")
    return []


def load_best(trainer: Trainer, model: Classifier) -> None:
    """Puts the best checkpoint's weights into the model."""
    path = next(c.best_model_path for c in callbacks(trainer) if isinstance(c, ModelCheckpoint) and c.monitor)
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    model.load_state_dict(checkpoint["state_dict"])


def compare_forms(
    folder: Path, model: Classifier, reference: Logits, rows: list[list[int]], data: ClassificationData
) -> dict[str, Row]:
    """Quality, size and speed of torch, ONNX and INT8 on the same rows, with as many threads each."""
    network = model.network.cpu()
    threads = torch.get_num_threads()
    files = {"onnx": export.FP32, "int8": export.INT8}
    pipelines = {
        form: ClassificationPipeline.load(folder, model_file=file, threads=threads) for form, file in files.items()
    }
    logits = {"torch": reference} | {form: onnx_logits(pipeline, rows) for form, pipeline in pipelines.items()}
    sizes = {"torch": export.weights_mb(folder)} | {form: size_mb(folder / file) for form, file in files.items()}
    targets = np.asarray(data.tokenised["test"]["target"][: len(rows)])
    qualities, speeds = quality(logits, targets), speed(network, pipelines, rows)
    return {form: {**qualities[form], "size_mb": sizes[form], **speeds[form]} for form in logits}


def predictions(
    data: ClassificationData, logits: NDArray[np.float32], labels: tuple[str, ...], target: str
) -> Predictions:
    """Test rows that have this target, with a head's answers."""
    targets = np.asarray(data.tokenised["test"][target])
    known = np.flatnonzero(targets != IGNORED)
    texts = data.tables["test"].rows.select(known)["text"]
    return Predictions(list(texts), list(labels), targets[known], softmax(logits[known]))


def history(trainer: Trainer) -> list[dict[str, float]]:
    return next(callback.records for callback in callbacks(trainer) if isinstance(callback, History))


def callbacks(trainer: Trainer) -> list[Callback]:
    found: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    return found


def training_facts(trainer: Trainer, model: Classifier) -> dict[str, Any]:
    """The model's settings, and where and how it was trained."""
    shown = {key: value for key, value in model.hparams.items() if not isinstance(value, tuple | list)}
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    facts = {"parameters": parameters, "precision": str(trainer.precision), "device": str(trainer.strategy.root_device)}
    return {**facts, "epochs": trainer.current_epoch, "model": shown}


def publish(staged: Path, target: Path) -> None:
    """Replaces the exported folder of an earlier run."""
    shutil.rmtree(target, ignore_errors=True)
    staged.rename(target)
