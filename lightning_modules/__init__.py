"""Data modules, Lightning modules, evaluation and export. Entry point: `python -m lightning_modules fit --config …`."""
