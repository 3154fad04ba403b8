"""Generate synthetic data: `intents` and `sentiment` to classify, `questions` to answer; a seed repeats its bytes.

The wording lives in `templates/`, the code only combines it. Commands are in `__main__.py`.
"""
