"""Synthetic data, the same bytes for the same seed: `intents` and `sentiment` to classify, `questions` to answer.

python -m lightning_modules.synthetic intents --out data/intent --examples-per-intent 500 --edge-cases 1000 --seed 0
python -m lightning_modules.synthetic questions --out data/qa --passages 440 --seed 0
python -m lightning_modules.synthetic sentiment --out data/sentiment --examples 4000 --seed 0

The wording lives in `templates/`, the code only combines it.
"""
