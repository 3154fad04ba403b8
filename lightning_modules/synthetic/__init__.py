"""Synthetic intent data: ten intents, three complexity levels, split by template family.

python -m lightning_modules.synthetic --out data/intent --examples-per-intent 500 --edge-cases 1000 --seed 0

The wording lives in `templates/*.yaml` (one file an intent, and `shared.yaml`), the code only combines it.
"""
