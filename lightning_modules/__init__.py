"""Read data, train models, evaluate and export them. Entry point: `python -m lightning_modules train`."""
