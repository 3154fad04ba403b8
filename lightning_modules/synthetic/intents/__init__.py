"""Generate requests of ten intents and three complexity levels, split by template family.

The wording lives in `templates/intents/*.yaml` (one file an intent, and `shared.yaml`), the code only combines it.
"""

from lightning_modules.synthetic.intents.generator import SyntheticIntents

__all__ = ["SyntheticIntents"]
