"""Reviews, positive or negative, split by template: plain, negated, mixed, and against an expectation.

The wording lives in `templates/sentiment/*.yaml` (one file a domain, and `shared.yaml`), the code only combines it.
"""

from lightning_modules.synthetic.sentiment.files import SyntheticSentiment

__all__ = ["SyntheticSentiment"]
