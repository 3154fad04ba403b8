"""The former place of the intent settings: `classification_data` still imports them from here."""

from lightning_modules.synthetic.intents import SyntheticIntents

__all__ = ["SyntheticIntents"]
