"""Train, evaluate and export models.

python -m lightning_modules train intent --trainer.max_epochs 3
python -m lightning_modules fit --config configs/intent.yaml --trainer.max_epochs 3
python -m lightning_modules distil --config configs/student.yaml --seeds 0 1 2
"""

import logging
import os
import sys
import warnings

# Before the imports: some exporters' modules set logging to INFO, and a line for every node would hide the result.
logging.basicConfig(level=logging.ERROR)
logging.getLogger("lightning").propagate = False  # it has a handler of its own
logging.getLogger("torch.onnx._internal.exporter._registration").disabled = True  # it looks for torchvision
warnings.filterwarnings("ignore", message=".*LeafSpec.*")
warnings.filterwarnings("ignore", message=".*is not supported by the model summary.*")
warnings.filterwarnings("ignore", message=".*LightningCLI's args parameter.*")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def main() -> None:
    """Run the command line; `train` imports little itself, since it may start several trainings."""
    from lightning_modules.stages import STAGES

    STAGES.begin("start")
    try:
        if sys.argv[1:2] == ["train"]:
            from lightning_modules.train import train

            train(sys.argv[2:])
        else:
            from lightning_modules import cli

            cli.main()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("lightning_modules"):
            raise
        sys.exit(
            f"error: {error.name} is not installed here: make setup, or pip install -c constraints.txt -e '.[train]'"
        )


if __name__ == "__main__":
    main()
