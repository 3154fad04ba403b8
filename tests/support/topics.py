"""Write a tiny labelled file that a tiny model learns in seconds."""

import csv
from pathlib import Path

import torch
from torch import Tensor

TOPICS = {
    "weather": "rain sun wind cloud storm",
    "food": "bread soup rice apple cake",
    "sport": "goal team race ball win",
}


def write_topics(path: Path) -> Path:
    """Write 180 rows whose words determine their label, and whose length determines their complexity."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "complexity"])
        for i in range(180):
            topic = list(TOPICS)[i % 3]
            words = TOPICS[topic].split()
            count = 1 + i // 3 % 5
            text = " ".join(words[(i + k) % 5] for k in range(count)) + f" {i}"
            writer.writerow([text, topic, "low" if count < 3 else "high"])
    return path


def topics_options(runs: Path, backbone: Path, data: Path, epochs: int = 2) -> list[str]:
    """Return the options of a run named `topics` on that file, in seconds, on the CPU."""
    return [
        "--name=topics",
        f"--runs_dir={runs}",
        f"--model.backbone={backbone}",
        "--model.learning_rate=0.01",
        f"--data.train_file={data}",
        "--data.max_length=16",
        "--data.batch_size=16",
        "--data.min_steps_per_epoch=1",
        f"--trainer.max_epochs={epochs}",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        "--trainer.precision=32-true",
        "--trainer.accelerator=cpu",
    ]


def weights(checkpoint: Path) -> dict[str, Tensor]:
    """Return the weights in a run's checkpoint."""
    state: dict[str, Tensor] = torch.load(checkpoint, weights_only=False)["state_dict"]
    return state
