"""Every configuration file makes a model, its data and a trainer."""

import sys
from pathlib import Path

import pytest

from lightning_modules import cli

CONFIGS = Path("configs")
TASKS = ["intent", "qa", "sentiment", "student"]
# Overlays, with the task that they are laid over.
OVERLAYS = {
    "hub/intent": "intent",
    "hub/qa": "qa",
    "hub/sentiment": "sentiment",
    "hub/student": "student",
    "squad": "qa",
}
SMALLER = {"student": ["--model.student_layers=2"]}  # the tiny backbone has no more


@pytest.mark.parametrize("name", [*TASKS, *OVERLAYS])
def test_every_config_instantiates(
    name: str, tmp_path: Path, tiny_backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["lightning_modules"])  # LightningCLI warns of arguments beside its own
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    files = [OVERLAYS[name], name] if name in OVERLAYS else [name]
    synthetic = [f"--data.synthetic.folder={tmp_path / 'data'}"]
    own = ["--model.backbone", str(tiny_backbone), "--runs_dir", str(tmp_path), "--trainer.accelerator=cpu"]
    configs = [f"--config={CONFIGS / file}.yaml" for file in files]
    smaller = SMALLER.get(files[0], [])
    if name == "hub/sentiment":  # the labels come from the data
        (tmp_path / "sst2.csv").write_text(
            "sentence,label\n" + "".join(f"fine {i},positive\nbad {i},negative\n" for i in range(10))
        )
        smaller = [f"--data.train_file={tmp_path / 'sst2.csv'}", "--data.dataset=null"]
    made = cli.BundleCLI(args=[*configs, *own, *synthetic, *smaller], run=False)
    assert made.model.network is not None
    assert made.datamodule.batch_size > 0


def test_no_config_is_left_out() -> None:
    files = {str(path.relative_to(CONFIGS).with_suffix("")) for path in CONFIGS.rglob("*.yaml")}
    assert {file for file in files if not file.startswith(("serving/", "dvc/"))} == {*TASKS, *OVERLAYS}
