"""Trains, evaluates and exports a model.

python -m lightning_modules fit --config configs/intent.yaml --trainer.max_epochs 3
"""

from lightning_modules.cli import main

if __name__ == "__main__":
    main()
