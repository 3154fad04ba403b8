"""Measures what the kept teacher logits save: a student's steps with them, and with the teacher asked at every step.

python -m lightning_modules.distillation.cost --config configs/student.yaml --steps 50
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_modules.cli import SETTINGS, BundleCLI
from lightning_modules.distillation.teacher import load_teacher
from lightning_modules.distillation.teacher_logits import same_tokenizer, write_logits
from lightning_modules.errors import UserError
from lightning_modules.failures import find_mendable

Batch = dict[str, Tensor]
Answer = Callable[[Batch], Tensor]


def measure(made: BundleCLI, steps: int) -> dict[str, Any]:
    """Seconds of an epoch, by `steps` steps of each kind that take turns, and of asking about all rows beforehand."""
    trainer, data = made.trainer, made.datamodule
    teacher = load_teacher(made.model.teacher)
    if not same_tokenizer(teacher.tokenizer_json, data.tokenizer_json):
        raise UserError(f"the teacher {teacher.name} has another tokenizer: every step would have to tokenise again")
    columns = teacher.columns(data.labels)
    with TemporaryDirectory() as folder:
        begin = perf_counter()
        kept = Path(folder) / "logits.npy"
        write_logits(kept, trainer, teacher, data.tokenised["train"]["input_ids"][:], columns)
        beforehand = perf_counter() - begin
        logits = np.load(kept, mmap_mode="r")

        @torch.no_grad()
        def ask(batch: Batch) -> Tensor:
            return teacher.network(batch["input_ids"], batch["attention_mask"])["logits"][:, columns]

        def look_up(batch: Batch) -> Tensor:
            return torch.from_numpy(logits[batch["row"].cpu().numpy()]).to(batch["row"].device)

        seconds = timed(made, {"kept": look_up, "asked": ask}, steps)
    batches = len(data.train_dataloader())
    epochs = {f"epoch_seconds_{kind}": float(np.mean(values) * batches) for kind, values in seconds.items()}
    ratio = epochs["epoch_seconds_asked"] / epochs["epoch_seconds_kept"]
    return {**epochs, "ratio": ratio, "beforehand_seconds": beforehand, "batches": batches}


def timed(made: BundleCLI, answers: Mapping[str, Answer], steps: int) -> dict[str, list[float]]:
    """Seconds of every step, after one of each kind that is not counted."""
    device, model = made.trainer.strategy.root_device, made.model
    optimizer = torch.optim.AdamW(model.to(device).train().parameters(), lr=1e-5)
    seconds: dict[str, list[float]] = {kind: [] for kind in answers}
    for i, batch in zip(range(steps + 1), made.datamodule.train_dataloader(), strict=False):
        for kind in sorted(answers, reverse=bool(i % 2)):
            begin = perf_counter()
            given = {name: values.to(device) for name, values in batch.items()}
            with made.trainer.precision_plugin.forward_context():
                loss, _ = model.model_step({**given, "teacher_logits": answers[kind](given)})
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            loss.item()  # waits for a GPU
            seconds[kind].append(perf_counter() - begin)
    return {kind: values[1:] for kind, values in seconds.items()}


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50, help="of each kind; all others are options of `fit`")
    given, of_fit = parser.parse_known_args()
    sys.argv = sys.argv[:1]  # LightningCLI warns of command line arguments beside those it is given
    try:
        print(json.dumps(measure(BundleCLI(args=of_fit, run=False, **SETTINGS), given.steps), indent=2))
    except Exception as error:
        mendable = find_mendable(error)
        if mendable is None:
            raise
        sys.exit(f"error: {mendable}")


if __name__ == "__main__":
    main()
