"""Trains, evaluates and exports a model.

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

try:
    from lightning_modules.cli import main
except ModuleNotFoundError as error:
    sys.exit(f"error: {error.name} is not installed here: make setup, or pip install -c constraints.txt -e '.[train]'")

if __name__ == "__main__":
    main()
