"""Trains, evaluates and exports a model.

python -m lightning_modules fit --config configs/intent.yaml --trainer.max_epochs 3
"""

import sys

try:
    from lightning_modules.cli import main
except ModuleNotFoundError as error:
    sys.exit(f"error: {error.name} is not installed here: make setup, or pip install -c constraints.txt -e '.[train]'")

if __name__ == "__main__":
    main()
