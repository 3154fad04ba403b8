"""What follows training: evaluate the best checkpoint, export it, compare the forms, report, and hold the gates."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from numpy.typing import NDArray

from handlers.onnx_model import Logits
from handlers.pipeline import ClassificationPipeline
from handlers.text.scores import softmax
from lightning_modules import export
from lightning_modules.baseline import baseline_figures
from lightning_modules.classification_data import ClassificationData
from lightning_modules.classifier import IGNORED, Classifier
from lightning_modules.errors import UserError
from lightning_modules.evaluation.gate import Gate
from lightning_modules.evaluation.metrics import Predictions, classification_metrics
from lightning_modules.evaluation.report import write_report
from lightning_modules.forms import (
    Row,
    missed_int8,
    missed_onnx,
    onnx_logits,
    quality,
    size_mb,
    speed,
    torch_logits,
)
from lightning_modules.history import History
from lightning_modules.network import TextClassifier
from lightning_modules.settings import Export


def finish(
    trainer: Trainer, model: Classifier, data: ClassificationData, *, name: str, gate: Gate, settings: Export
) -> list[str]:
    """Writes `report/` and, when every gate holds, `export/` in the run folder; returns the missed gates' sentences."""
    folder = Path(trainer.default_root_dir)
    load_best(trainer, model)
    network = model.network.eval().to(trainer.strategy.root_device)
    rows = data.tokenised["test"]["input_ids"][:]
    logits = torch_logits(network, rows)
    if not all(np.isfinite(values).all() for values in logits.values()):
        raise UserError("training diverged: the model answers no numbers; lower --model.learning_rate")

    staged = folder / "export.partial"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    export.write_model(staged, network, data.tokenizer_json, settings.opset)
    export.write_labels(staged, data.labels, data.complexity_labels)
    facts = export.facts(
        name=name,
        version=settings.version,
        backbone=data.backbone,
        pooling=network.pool.kind,
        layer_norm=isinstance(network.norm, torch.nn.LayerNorm),
        encoder=data.encoder,
        labels=data.labels,
    )
    export.write_metadata(staged, facts)
    count = min(len(rows), settings.check_rows)
    checked = Checked(rows[:count], np.asarray(data.tokenised["test"]["target"][:count]), settings)
    table, unequal = compare_forms(staged, network, {key: values[:count] for key, values in logits.items()}, checked)

    intent = predictions(data, logits["logits"], data.labels, "target")
    rated = bool(data.complexity_labels) and max(data.tokenised["test"]["complexity_target"]) != IGNORED
    complexity = (
        predictions(data, logits["complexity_logits"], data.complexity_labels, "complexity_target") if rated else None
    )
    verdict = gate.verdict(classification_metrics(intent), unequal)
    write_report(
        folder / "report",
        name,
        intent,
        complexity,
        extras={
            "gate": verdict,
            "comparison": [{"form": form, **row} for form, row in table.items()],
            "baseline": baseline_figures(data.tables["train"].rows, data.tables["test"].rows),
            "history": history(trainer),
            "training": training_facts(trainer, model),
            "data": data.summary(),
        },
    )
    print(f"report: {folder / 'report' / 'report.html'}")
    if not verdict["passed"]:
        shutil.rmtree(staged)
        earlier = [f"{folder / 'export'} is still an earlier run's"] if (folder / "export").exists() else []
        return [*verdict["missed"], *earlier]
    export.write_golden(staged, data.tables["test"].rows["text"])
    export.write_metadata(staged, {**facts, "metrics": table})
    publish(staged, folder / "export")
    print(f"exported: {folder / 'export'}")
    return []


def load_best(trainer: Trainer, model: Classifier) -> None:
    """Puts the best checkpoint's weights into the model."""
    path = next(c.best_model_path for c in callbacks(trainer) if isinstance(c, ModelCheckpoint) and c.monitor)
    if not path:
        raise UserError("no best checkpoint was kept: training has to reach a validation, and to save one")
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    model.load_state_dict(checkpoint["state_dict"])


@dataclass(frozen=True)
class Checked:
    """Test rows that all forms answer: token ids, targets int64 [rows], and the bounds to hold on them."""

    rows: list[list[int]]
    targets: NDArray[np.int64]
    settings: Export


def compare_forms(
    folder: Path, network: TextClassifier, reference: Logits, checked: Checked
) -> tuple[dict[str, Row], list[str]]:
    """Quality, size and speed of torch, ONNX and INT8, with as many threads each, and the bounds they miss.

    INT8 is made by the fastest method that holds the bounds.
    """
    threads = torch.get_num_threads()
    onnx = ClassificationPipeline.load(folder, model_file=export.FP32, threads=threads)
    table = {
        "torch": quality(reference, reference, checked.targets),
        "onnx": quality(onnx_logits(onnx, checked.rows), reference, checked.targets),
    }
    for method in export.INT8_METHODS:
        export.write_int8(folder, method)
        int8 = ClassificationPipeline.load(folder, model_file=export.INT8, threads=threads)
        table["int8"] = quality(onnx_logits(int8, checked.rows), reference, checked.targets) | {"method": method}
        misses = missed_int8(table["int8"], table["torch"]["accuracy"], len(checked.rows), checked.settings)
        if not misses:
            break
        print(f"INT8 by the {method} method: {'; '.join(misses)}")
    sizes = {"torch": export.weights_mb(folder)} | {
        form: size_mb(folder / file) for form, file in (("onnx", export.FP32), ("int8", export.INT8))
    }
    speeds = speed(network, {"onnx": onnx, "int8": int8}, checked.rows)
    full = {form: {**row, "size_mb": sizes[form], **speeds[form]} for form, row in table.items()}
    return full, missed_onnx(table["onnx"], checked.settings) + [f"INT8: {miss}" for miss in misses]


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
